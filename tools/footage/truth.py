"""The truth of a film: what happened in the game, and which of it is a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Event(BaseModel):
    """One fact from the game's log or state.

    Attributes:
        at: seconds of the film.
        kind: what happened, in the words of the game's recipe.
        side: 0 for the player or team that the film follows, 1 for the opponent.
        points: what it adds to that side's score on screen.
    """

    model_config = ConfigDict(frozen=True)

    at: float
    kind: str
    side: int = 0
    points: int = 0


class Moment(BaseModel):
    """A stretch of the film that a viewer would want as a clip.

    Attributes:
        start: seconds of the film.
        end: seconds of the film.
        peak: when it happens, in seconds of the film.
        kind: what it is, in the words of the game's recipe.
        weight: how much it matters within its game, in (0, 1].
    """

    model_config = ConfigDict(frozen=True)

    start: float = Field(ge=0)
    end: float
    peak: float
    kind: str
    weight: float = Field(gt=0, le=1)


class Distractor(BaseModel):
    """A stretch that is no moment and may be taken for one: a replay, an advert."""

    model_config = ConfigDict(frozen=True)

    start: float
    end: float
    kind: str


class Film(BaseModel):
    """How a film was made.

    Attributes:
        game: key of the recipe.
        kind: kind of game.
        seed: of the game and of its players.
        duration: seconds.
        pictures: where pictures and sound are from.
        players: who plays.
        dressing: what was laid over the film, in order; empty for the film itself.
        clock: how the frame rate relates to the game's own clock.
    """

    model_config = ConfigDict(frozen=True)

    game: str
    kind: str
    seed: int
    duration: float
    pictures: str
    players: str
    dressing: tuple[str, ...] = ()
    clock: str = "every frame is one step of the game's own clock"


class Truth(BaseModel):
    """A `truth.json`; `highlights demo --truth` and `make evaluate TRUTH=` read it as well."""

    model_config = ConfigDict(frozen=True)

    film: Film
    moments: tuple[Moment, ...]
    distractors: tuple[Distractor, ...] = ()
    events: tuple[Event, ...] = ()

    def write(self, path: Path) -> None:
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Truth:
    """Read a truth file that a recipe wrote.

    Raises:
        pydantic.ValidationError: it is not one.
        FileNotFoundError: there is none.
    """
    return Truth.model_validate_json(path.read_bytes())


def around(
    event: Event,
    kind: str,
    weight: float,
    *,
    before: float,
    after: float,
    since: float | None = None,
) -> Moment:
    """Return the moment around an event; `since` is when it began, if that is earlier (seconds)."""
    began = event.at if since is None else min(since, event.at)
    return Moment(
        start=max(0.0, began - before),
        end=event.at + after,
        peak=event.at,
        kind=kind,
        weight=weight,
    )


def settle(moments: Iterable[Moment], duration: float) -> tuple[Moment, ...]:
    """Return the moments inside a film, in order, none overlapping.

    Of overlapping moments one remains, with the bounds of all, and peak, kind and weight of the
    one that matters most (of equal ones the first). A moment whose peak is in the last second of
    the film is dropped, since its pay-off is not in the film.
    """
    settled: list[Moment] = []
    for moment in sorted(moments, key=lambda each: (each.start, each.end)):
        if moment.peak > duration - 1:
            continue
        last = settled[-1] if settled else None
        if last is None or moment.start >= last.end:
            settled.append(moment.model_copy(update={"end": min(moment.end, duration)}))
            continue
        leading = moment if moment.weight > last.weight else last
        bounds = {"start": last.start, "end": min(max(last.end, moment.end), duration)}
        settled[-1] = leading.model_copy(update=bounds)
    return tuple(settled)


def bursts(events: Sequence[Event], *, count: int, within: float) -> list[tuple[Event, ...]]:
    """Return runs of at least `count` events in which any `count` in a row lie `within` seconds.

    A run is as long as that holds, and no event is in two runs.
    """
    runs: list[tuple[Event, ...]] = []
    run: list[Event] = []
    for event in events:
        grown = [*run, event]
        if len(grown) >= count and event.at - grown[-count].at > within:
            if len(run) >= count:
                runs.append(tuple(run))
                run = [event]
            else:
                run = grown[1:]
        else:
            run = grown
    if len(run) >= count:
        runs.append(tuple(run))
    return runs


def lead_changes(
    events: Iterable[Event], *, restart: Callable[[Event], bool]
) -> list[tuple[Event, str]]:
    """Return each scoring event with `equalizer`, `lead` or `extends`, by the score it makes.

    A side that leads scores `extends`; a side that is behind and stays behind scores `reduces`.
    `restart` tells which events set the score to 0-0.
    """
    score, named = [0, 0], []
    for event in events:
        if restart(event):
            score = [0, 0]
        if not event.points:
            continue
        own, other = score[event.side], score[1 - event.side]
        score[event.side] += event.points
        after = score[event.side]
        if after == other:
            named.append((event, "equalizer"))
        elif own <= other < after:
            named.append((event, "lead"))
        else:
            named.append((event, "extends" if own > other else "reduces"))
    return named
