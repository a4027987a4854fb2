"""From a seed to a script: which moments happen when, what lies between them, and the rest."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, TypeVar

import numpy as np

from demo.match.distractors import DISTRACTORS, distractor_length, stage_distractor
from demo.match.moments import Weakness, stage_moment
from demo.match.script import Color, Envelope, Look, Mix, Script, Truth
from demo.match.sport import SPORTS, Sport
from demo.match.stage import Stage

_Card = TypeVar("_Card")

MIN_SPACING: Final = 32.0
"""Least time between two peaks, seconds."""

MEAN_SPACING: Final = 60.0
"""Seconds from one peak to the next, on average, where nothing else is asked for."""

_CALM: Final = (1.5, 6.0)
_LEAD_IN: Final = (25.0, 31.0)
_TAIL: Final = (15.0, 20.0)
_WEAKNESSES: Final[tuple[Weakness, ...]] = (
    "crowd",
    "none",
    "voice",
    "none",
    "late",
    "picture",
    "none",
)
_NAMES: Final = ("ARV", "BOL", "CAS", "DUN", "ELM", "FEN", "GRO", "HAV", "IVO", "KES", "LUM", "MOR")
_KITS: Final[tuple[tuple[Color, Color], ...]] = (
    ((214, 40, 40), (240, 240, 240)),
    ((30, 80, 200), (240, 200, 40)),
    ((120, 20, 60), (150, 210, 240)),
    ((20, 20, 28), (240, 130, 30)),
    ((250, 250, 250), (20, 60, 120)),
)


def write_script(
    *, seed: int, duration: float = 300.0, kind: str = "soccer", spacing: float = MEAN_SPACING
) -> Script:
    """Write the match of this seed; the same arguments always give the same script.

    Args:
        seed: chooses everything: names, colours, levels, times, what happens.
        duration: seconds, at least 12.
        kind: a key of `SPORTS`.
        spacing: seconds from one peak to the next, on average, at least `MIN_SPACING`.

    Raises:
        ValueError: the kind is unknown, the duration too short or the spacing too small.
    """
    if kind not in SPORTS:
        raise ValueError(f"unknown kind of match {kind!r}: use one of {', '.join(SPORTS)}")
    if duration < 12:
        raise ValueError(f"a match must last at least 12 seconds, not {duration:g}")
    if spacing < MIN_SPACING:
        raise ValueError(f"peaks must be {MIN_SPACING:g} s apart on average, not {spacing:g}")
    rng = np.random.default_rng([seed, *kind.encode()])
    sport = SPORTS[kind]
    stage = Stage(sport=sport, rng=rng, duration=duration)
    look, mix = _look(rng, sport), _mix(rng)
    gaps = _stage_moments(stage, spacing)
    _stage_volume_step(stage, gaps)
    _stage_distractors(stage, gaps)
    _stage_routine(stage)
    return _finish(stage, look, mix, seed=seed, kind=kind)


def place_peaks(
    rng: np.random.Generator, duration: float, spacing: float = MEAN_SPACING
) -> list[float]:
    """Draw the times of the peaks (seconds): five in 300 s, at least `MIN_SPACING` apart.

    Otherwise they are as irregular as can be, or evenly spaced clips would find them.
    """
    first = float(rng.uniform(*_LEAD_IN))
    last = duration - float(rng.uniform(*_TAIL))
    if last < first:
        return [round(duration * float(rng.uniform(0.5, 0.6)), 2)]
    count = max(1, min(round(duration / spacing), int((last - first) / MIN_SPACING) + 1))
    slack = last - first - MIN_SPACING * (count - 1)
    spread = np.cumsum(rng.dirichlet(np.ones(count + 1)))[:count] * slack
    return [round(first + MIN_SPACING * i + float(s), 2) for i, s in enumerate(spread)]


def _stage_moments(stage: Stage, spacing: float) -> list[tuple[float, float]]:
    """Stage all moments; return the gaps between them, seconds."""
    peaks = place_peaks(stage.rng, stage.duration, spacing)
    recipes = _deck(stage.rng, stage.sport.recipes, len(peaks))
    weaknesses = _deck(stage.rng, _WEAKNESSES, len(peaks))
    free, gaps = 2.0, []
    for peak, recipe, weakness in zip(peaks, recipes, weaknesses, strict=True):
        done = stage_moment(stage, recipe, peak, weakness)
        gaps.append((free, stage.moments[-1].start - 2.0))
        free = done + 1.0
    gaps.append((free, stage.duration - 2.0))
    return gaps


def _deck(rng: np.random.Generator, cards: tuple[_Card, ...], count: int) -> list[_Card]:
    """Deal `count` cards, every card once before any comes again."""
    dealt: list[_Card] = []
    while len(dealt) < count:
        dealt += [cards[i] for i in rng.permutation(len(cards))]
    return dealt[:count]


def _stage_distractors(stage: Stage, gaps: list[tuple[float, float]]) -> None:
    """Fill each gap with distractors one after the other, with calm play between them."""
    deck: list[str] = []
    for start, end in gaps:
        at = start + stage.between(_CALM)
        while kind := _draw(stage, deck, at, end):
            length = stage.between(distractor_length(kind))
            length = min(length, end - at)
            stage_distractor(stage, kind, at, at + length)
            at += length + stage.between(_CALM)


def _stage_volume_step(stage: Stage, gaps: list[tuple[float, float]]) -> None:
    """Turn everything up in the midst of the match, with enough on either side of the step."""
    for index in map(int, stage.rng.permutation(len(gaps))):
        start, end = gaps[index]
        if 0.3 * stage.duration < start < end < 0.75 * stage.duration:
            gaps[index] = (start + 1.0, end)
            stage_distractor(stage, "volume_step", start, start + 0.5)
            return


def _draw(stage: Stage, deck: list[str], start: float, end: float) -> str | None:
    """Take the first kind that fits between `start` and `end`; None when none does."""
    if not any(distractor_length(kind)[0] <= end - start for kind in deck):
        deck += [DISTRACTORS[i] for i in stage.rng.permutation(len(DISTRACTORS))]
    for kind in deck:
        if distractor_length(kind)[0] <= end - start:
            deck.remove(kind)
            return kind
    return None


def _is_free(stage: Stage, start: float, end: float) -> bool:
    return all(end < busy_start or busy_end < start for busy_start, busy_end in stage.busy)


def _stage_routine(stage: Stage) -> None:
    """Fill the rest: passes, murmurs of the crowd, cutaways, small captions, calls."""
    sport, at = stage.sport, 0.5
    while at < stage.duration - 1:
        if not any(
            d.kind in ("advert_break", "line_up") and d.start <= at < d.end
            for d in stage.distractors
        ):
            stage.cue(sport.touch, at, at + 0.3, stage.between((-36, -27)))
        at += stage.between(sport.touch_interval)
    at = stage.between(sport.routine_interval)
    while at < stage.duration - 4:
        if _is_free(stage, at - 2, at + 3):
            rise = stage.between(sport.routine_rise)
            stage.swell(stage.crowd, ((at - 1.5, 0), (at, rise), (at + 3, 0)))
            stage.swell(
                stage.voice, ((at - 1, 0.15), (at, stage.between((0.2, 0.4))), (at + 2.5, 0.15))
            )
            if stage.chance(0.3):
                stage.cuts(at, ("close" if stage.chance(0.7) else "crowd", "wide"), (1.6, 3))
            elif stage.chance(0.2):
                stage.caption(at, at + 3, "SUBSTITUTION")
            elif stage.chance(0.2):
                stage.cue(
                    sport.referee, at, at + stage.between((0.3, 0.7)), stage.between((-30, -24))
                )
        at += stage.between(sport.routine_interval)


def _finish(stage: Stage, look: Look, mix: Mix, *, seed: int, kind: str) -> Script:
    stage.shots.sort(key=lambda shot: shot.start)
    stage.shot(0, "wide")
    stage.shots = [stage.shots[-1], *stage.shots[:-1]]
    step_at, step = stage.gain_step or (stage.duration, 0.0)
    return Script(
        truth=Truth(
            duration=stage.duration,
            seed=seed,
            kind=kind,
            moments=tuple(stage.moments),
            distractors=tuple(sorted(stage.distractors, key=lambda item: item.start)),
        ),
        look=look,
        mix=mix,
        shots=tuple(stage.shots),
        cues=tuple(stage.cues),
        banners=tuple(stage.banners),
        scores=tuple(stage.scores),
        crowd=tuple(stage.crowd),
        voice=tuple(stage.voice),
        talk=Envelope(points=((0, stage.between((0.6, 0.9))), (stage.duration, 0.75))),
        activity=tuple(stage.activity),
        match_level=tuple(stage.match_level),
        gain=Envelope(
            points=((0, 0), (step_at, 0), (step_at + 0.04, step), (stage.duration + 1, step))
        ),
        ball=tuple(_wander(stage)),
    )


def _wander(stage: Stage) -> list[tuple[float, float, float]]:
    """Let the ball wander between the staged plays: (seconds, x, y), x and y in [0, 1]."""
    staged = sorted(stage.ball)
    wandering = [(0.0, 0.5, 0.5)]
    for here, there in pairwise([(0.0, 0.5, 0.5), *staged, (stage.duration + 1, 0.5, 0.5)]):
        wandering.append(here)
        at = here[0] + stage.between((2.5, 4))
        while at < there[0] - 2.5 and _is_free(stage, here[0], at):
            wandering.append((at, stage.between((0.3, 0.7)), stage.between((0.2, 0.8))))
            at += stage.between((2.5, 4.5))
    return sorted(set(wandering))


def _look(rng: np.random.Generator, sport: Sport) -> Look:
    home_name, away_name = (_NAMES[i] for i in rng.permutation(len(_NAMES))[:2])
    home, away = _KITS[int(rng.integers(len(_KITS)))]
    field = sport.field_colors[int(rng.integers(len(sport.field_colors)))]
    red, green, blue = (int(c) for c in rng.integers(40, 220, 3))
    return Look(
        home_name=home_name,
        away_name=away_name,
        home_color=home,
        away_color=away,
        field_color=field,
        accent_color=(red, green, blue),
        clock_start=int(rng.integers(8, 80)) * 60,
    )


def _mix(rng: np.random.Generator) -> Mix:
    high = rng.random() < 0.35
    return Mix(
        crowd=float(rng.uniform(-38, -33)),
        voice=float(rng.uniform(-29, -25)),
        voice_pitch=float(rng.uniform(165, 205) if high else rng.uniform(95, 135)),
        voice_rate=float(rng.uniform(3.6, 4.6)),
        voice_tract=float(rng.uniform(1.08, 1.2) if high else rng.uniform(0.92, 1.05)),
        crowd_color=float(rng.uniform(0, 1)),
    )
