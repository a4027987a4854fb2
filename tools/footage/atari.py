"""Recipes for console games by the Arcade Learning Environment, which ships the games.

The score is the environment's reward, positive for the player's points and negative for the
opponent's. The film's player plans: before each short stretch it tries a few random ones in a copy
of the game and takes the best. How many it tries changes while it plays, so that it plays well for
a while and badly for another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.footage.game import FootageError, Step, SteppedGame
from tools.footage.recorder import Format
from tools.footage.truth import Event, Moment, around, bursts, lead_changes

_GAME_FPS: Final = 60
_FRAMES_PER_PICTURE: Final = 2
_SAMPLES_PER_FRAME: Final = 512
_DISCOUNT: Final = 0.995
_LIFE: Final = 50.0
"""What losing a life costs a plan, in points."""


class Planner(NamedTuple):
    """How the player plans.

    Attributes:
        tries: numbers of plans to choose among, one of which holds for `_FORM_SECONDS`.
        horizon: frames that a plan looks ahead.
        stretch: frames for which an action is held.
        actions: names of the actions to use; none means all that the game has.
        shape: what a state is worth besides its points, from the console's memory.
    """

    tries: tuple[int, ...]
    horizon: int
    stretch: int
    actions: tuple[str, ...] = ()
    shape: Callable[[NDArray[np.uint8]], float] | None = None


_FORM_SECONDS: Final = (15.0, 45.0)


class AtariGame(SteppedGame):
    """A game of the console; a subclass says what its points mean."""

    pictures = "the Arcade Learning Environment's game: pictures, sound and score are its own"
    players = "a planner of changing skill, scripted by us, against the game's own opponent"
    clock = "two frames of the game's 60 per second make one of the film's 30, so nothing flickers"
    rom: ClassVar[str]
    planner: ClassVar[Planner]

    def missing(self) -> str:
        return "" if find_spec("ale_py") else "make .venv/.footage"

    def format(self) -> Format:
        return Format(
            width=160,
            height=210,
            fps=_GAME_FPS // _FRAMES_PER_PICTURE,
            rate=_SAMPLES_PER_FRAME * _GAME_FPS,
            channels=1,
            filters="scale=960:720:flags=neighbor,pad=1280:720:160:0",
        )

    def scored(self, at: float, reward: int) -> Event:
        """Return the event of a reward."""
        return Event(at=at, kind="score", side=int(reward < 0), points=abs(reward))

    def play(self, seed: int) -> Iterator[Step]:
        game, copy = _console(self.rom, seed, sound=True), _console(self.rom, seed, sound=False)
        chance = np.random.default_rng(seed)
        legal = [a for a in game.getMinimalActionSet() if self._uses(a.name)]
        frame, form_ends, tries = 0, 0, 0
        pictures: list[NDArray[np.uint8]] = []
        sounds: list[NDArray[np.uint8]] = []
        events: list[Event] = []
        while True:
            if frame >= form_ends:
                tries = int(chance.choice(self.planner.tries))
                form_ends = frame + int(chance.uniform(*_FORM_SECONDS) * _GAME_FPS)
            action = self._choose(game, copy, legal, tries, chance)
            for _ in range(self.planner.stretch):
                lives = game.lives()
                reward, at = game.act(action), frame / _GAME_FPS
                frame += 1
                if reward:
                    events.append(self.scored(at, int(reward)))
                if game.lives() < lives:
                    events.append(Event(at=at, kind="life lost", side=1))
                pictures.append(game.getScreenRGB())
                sounds.append(game.getAudio())
                if len(pictures) == _FRAMES_PER_PICTURE:
                    wave = (np.concatenate(sounds).astype(np.int16) - 128) * 128
                    yield Step(np.maximum(*pictures), wave[:, None], tuple(events))
                    pictures, sounds, events = [], [], []
                if game.game_over():
                    events.append(Event(at=at, kind="match over"))
                    game.reset_game()
                    break

    def _uses(self, name: str) -> bool:
        return not self.planner.actions or name in self.planner.actions

    def _choose(
        self, game: Any, copy: Any, legal: list[Any], tries: int, chance: np.random.Generator
    ) -> Any:
        """Return the first action of the best of `tries` random plans; of one, without looking."""
        steps = self.planner.horizon // self.planner.stretch
        if tries < 2:
            return legal[chance.integers(len(legal))]
        state, plans = game.cloneState(), chance.integers(len(legal), size=(tries, steps))
        worth = [self._worth(copy, state, [legal[step] for step in plan]) for plan in plans]
        best = np.flatnonzero(np.array(worth) >= max(worth))
        return legal[plans[chance.choice(best)][0]]

    def _worth(self, copy: Any, state: Any, plan: Sequence[Any]) -> float:
        copy.restoreState(state)
        lives, worth, factor = copy.lives(), 0.0, 1.0
        for action in plan:
            for _ in range(self.planner.stretch):
                worth += factor * float(copy.act(action))
                factor *= _DISCOUNT
            if self.planner.shape is not None:
                worth += factor * self.planner.shape(copy.getRAM())
            if copy.game_over():
                break
        return worth + _LIFE * int(copy.lives() - lives)


class IceHockey(AtariGame):
    """Goals that change who leads are moments; so is the last goal of a match."""

    kind = "team sport"
    rom = "ice_hockey"
    planner = Planner(tries=(1, 4, 6, 8), horizon=100, stretch=20)

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        return [
            around(event, f"goal, {what}", weight, before=5, after=3)
            for event, what, weight in _decisive(events)
        ]


class Basketball(AtariGame):
    """Baskets that change who leads are moments; so is the last basket of a match."""

    kind = "team sport"
    rom = "double_dunk"
    planner = Planner(tries=(1, 4, 6, 8), horizon=100, stretch=20)

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        whole = _together(events, within=1.0)
        return [
            around(event, f"basket, {what}", weight, before=4, after=2.5)
            for event, what, weight in _decisive(whole)
        ]


class Tennis(AtariGame):
    """A point after a rally of nine seconds or more is a moment; so is one that wins a game."""

    kind = "racket sport"
    rom = "tennis"
    planner = Planner(
        tries=(1, 3, 5, 8),
        horizon=32,
        stretch=8,
        # Bytes 16 and 26 are where the ball and the player are, across the court.
        shape=lambda memory: -0.002 * 8 * abs(int(memory[16]) - int(memory[26])),
    )
    rally: ClassVar[float] = 9.0
    """Seconds from the point before, its serve included."""

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        moments: list[Moment] = []
        before, points = 0.0, [0, 0]
        for event in events:
            if event.kind == "match over":
                before, points = event.at, [0, 0]
            if not event.points:
                continue
            points[event.side] += 1
            own, other = points[event.side], points[1 - event.side]
            wins, length = own >= 4 and own >= other + 2, event.at - before
            if wins:
                points = [0, 0]
            if wins or length >= self.rally:
                kind = "game" if wins else "long rally"
                lead = min(length, 8.0) - 1
                moments.append(around(event, kind, 0.9 if wins else 0.7, before=lead, after=3))
            before = event.at
        return moments


class Boxing(AtariGame):
    """A flurry is a moment: five points or more of one side, any five within three seconds."""

    kind = "fighting"
    rom = "boxing"
    planner = Planner(tries=(1, 1, 2, 3), horizon=36, stretch=12)

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        moments = []
        for side in (0, 1):
            hits = [e for event in events for e in [event] * event.points if event.side == side]
            for run in bursts(hits, count=5, within=3.0):
                weight = min(1.0, 0.5 + 0.05 * len(run))
                moments.append(
                    around(run[-1], "flurry", weight, before=2, after=2, since=run[0].at)
                )
        ends = [event for event in events if event.kind == "match over"]
        return [*moments, *(around(e, "final bell", 0.6, before=5, after=1) for e in ends)]


class Racing(AtariGame):
    """Moments: four cars overtaken within four seconds, and two places lost within three."""

    kind = "racing"
    rom = "enduro"
    planner = Planner(
        tries=(1, 2, 4, 6), horizon=48, stretch=8, actions=("FIRE", "RIGHTFIRE", "LEFTFIRE")
    )

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        passed = [event for event in events if event.points and event.side == 0]
        lost = [event for event in events if event.points and event.side == 1]
        return [
            around(run[-1], kind, weight, before=2.5, after=2, since=run[0].at)
            for runs, kind, weight in (
                (bursts(passed, count=4, within=4.0), "overtakes", 0.8),
                (bursts(lost, count=2, within=3.0), "crash", 0.7),
            )
            for run in runs
        ]


class RiverRaid(AtariGame):
    """Moments: a bridge destroyed, the plane lost, and four targets hit within three seconds."""

    kind = "arcade"
    rom = "riverraid"
    planner = Planner(tries=(1, 3, 5, 8), horizon=48, stretch=12)
    bridge: ClassVar[int] = 500

    def scored(self, at: float, reward: int) -> Event:
        kind = "bridge" if reward >= self.bridge else "hit"
        return Event(at=at, kind=kind, points=reward)

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        hits = [event for event in events if event.kind == "hit"]
        runs = bursts(hits, count=4, within=3.0)
        weights = {"bridge": 0.9, "life lost": 0.7, "match over": 0.9}
        return [
            *(around(r[-1], "streak", 0.6, before=2, after=2, since=r[0].at) for r in runs),
            *(
                around(event, event.kind, weights[event.kind], before=4, after=2.5)
                for event in events
                if event.kind in weights
            ),
        ]


def _decisive(events: Sequence[Event]) -> Iterator[tuple[Event, str, float]]:
    """Yield the scores that equalize or take the lead, and the last one before the end."""
    scored = lead_changes(events, restart=lambda event: event.kind == "match over")
    ends = [event.at for event in events if event.kind == "match over"]
    last = {max((e.at for e, _ in scored if e.at <= end), default=-1.0) for end in ends}
    weights = {"equalizer": 0.8, "lead": 1.0}
    for event, what in scored:
        if what in weights:
            yield event, what, weights[what]
        elif event.at in last:
            yield event, "last of the match", 0.6


def _together(events: Sequence[Event], *, within: float) -> list[Event]:
    """Join points of one side that follow each other `within` seconds: they are one basket."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if (
            last is not None
            and (last.points and event.points and last.side == event.side)
            and event.at - last.at <= within
        ):
            joined[-1] = last.model_copy(update={"points": last.points + event.points})
        else:
            joined.append(event)
    return joined


def _console(rom: str, seed: int, *, sound: bool) -> Any:
    """Return a console with the game started.

    Raises:
        FootageError: the environment is not installed.
    """
    try:
        import ale_py  # noqa: PLC0415 -- only who films needs it
    except ImportError as error:
        raise FootageError(
            f"{rom} needs ale-py, which is not installed. Run `make .venv/.footage`."
        ) from error
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    console = ale_py.ALEInterface()
    console.setInt("random_seed", seed)
    console.setBool("sound_obs", sound)
    console.setFloat("repeat_action_probability", 0.0)
    console.loadROM(ale_py.roms.get_rom_path(rom))
    console.reset_game()
    return console
