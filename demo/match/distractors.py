"""How a distractor is staged: whatever draws the eye or the ear, and is no highlight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from demo.match.script import Distractor, ShotView
from demo.match.sport import Range
from demo.match.stage import Stage

Staging = Callable[[Stage, float, float], None]


def stage_distractor(stage: Stage, kind: str, start: float, end: float) -> None:
    """Stage a distractor from `start` to `end` seconds."""
    _STAGINGS[kind][1](stage, start, end)
    stage.distractors.append(Distractor(start=round(start, 3), end=round(end, 3), kind=kind))
    stage.busy.append((start - 0.5, end + 0.5))


def distractor_length(kind: str) -> Range:
    """Return the shortest and the longest a distractor of this kind lasts, seconds."""
    return _STAGINGS[kind][0]


def _fill(stage: Stage, start: float, end: float, view: ShotView, length: Range) -> None:
    while start < end - length[0] * 0.6:
        stage.shot(start, view)
        start += stage.between(length)
    stage.shot(end, "wide")


def _advert_break(stage: Stage, start: float, end: float) -> None:
    stage.dip(start, end, -80)
    _fill(stage, start, end, "advert", (1.0, 2.6))
    middle = start + (end - start) * stage.between((0.4, 0.6))
    level = stage.between((-21, -16))
    stage.cue("advert", start, middle, level)
    stage.cue("advert", middle, end, level + stage.between((-2, 2)))


def _line_up(stage: Stage, start: float, end: float) -> None:
    stage.dip(start, end, -12, fade=0.5)
    _fill(stage, start, end, "panel", (1.5, 3.2))
    stage.cue("music", start, end, stage.between((-27, -21)))


def _drums(stage: Stage, start: float, end: float) -> None:
    stage.cue("drums", start, end, stage.between((-24, -18)))
    rise = stage.between((3, 6))
    stage.swell(stage.crowd, ((start - 1.5, 0), (start + 1, rise), (end - 1, rise), (end + 1, 0)))


def _loud_crowd(stage: Stage, start: float, end: float) -> None:
    rise = stage.between((8, 11.5))
    ramp = stage.between((2.0, 3.2))
    stage.swell(stage.crowd, ((start, 0), (start + ramp, rise), (end - ramp, rise), (end, 0)))


def _announcement(stage: Stage, start: float, end: float) -> None:
    stage.cue("pa", start, end, stage.between((-25, -20)))


def _dull_replay(stage: Stage, start: float, end: float) -> None:
    at = stage.cuts(start, ("close",), (1.2, 2))
    while at < end - 3:
        at = stage.replay(at, at - 4, cuts=2 if end - at > 6 else 1)
    stage.shot(at, "wide")


def _fizzled_attack(stage: Stage, start: float, end: float) -> None:
    middle = start + (end - start) * 0.6
    side = stage.between((0.22, 0.3))
    side = side if stage.chance(0.5) else 1 - side
    stage.ball += [(start, 0.5, 0.5), (middle, side, stage.between((0.2, 0.8))), (end, 0.5, 0.5)]
    pace = stage.between((1.7, 2.3))
    stage.swell(stage.activity, ((start, 1), (start + 0.8, pace), (middle, pace), (end, 1)))
    rise = stage.between((2.5, 4.5))
    stage.swell(stage.crowd, ((start, 0), (middle, rise), (end, 0)))
    stage.swell(stage.voice, ((start, 0.2), (middle, stage.between((0.4, 0.5))), (end, 0.2)))


def _music_sting(stage: Stage, start: float, end: float) -> None:
    stage.cue("sting", start, end, stage.between((-19, -13)))
    if stage.chance(0.5):
        stage.caption(start, end, "LIVE", flash=False)


def _fast_pan(stage: Stage, start: float, end: float) -> None:
    at, left = start, stage.chance(0.5)
    while at < end:
        stage.ball.append((at, 0.12 if left else 0.88, stage.between((0.3, 0.7))))
        at, left = at + stage.between((1.0, 1.7)), not left
    stage.ball.append((end + 1, 0.5, 0.5))
    stage.swell(stage.activity, ((start, 0.9), (end, 0.9)))


def _whistle(stage: Stage, start: float, end: float) -> None:
    stage.cue(stage.sport.referee, start, end, stage.between((-22, -17)))
    if stage.chance(0.6):
        stage.cuts(start + 0.6, ("close", "wide"), (1.5, 2.5))


def _volume_step(stage: Stage, start: float, _end: float) -> None:
    stage.gain_step = (start, 6.0)


def _silence(stage: Stage, start: float, end: float) -> None:
    stage.dip(start, end, -90, fade=0.03)


_STAGINGS: Final[dict[str, tuple[Range, Staging]]] = {
    "advert_break": ((8, 14), _advert_break),
    "line_up": ((7, 11), _line_up),
    "drums": ((8, 13), _drums),
    "loud_crowd": ((9, 14), _loud_crowd),
    "announcement": ((6, 10), _announcement),
    "dull_replay": ((6, 9), _dull_replay),
    "fizzled_attack": ((5, 8), _fizzled_attack),
    "music_sting": ((2.5, 4.5), _music_sting),
    "fast_pan": ((4.5, 7), _fast_pan),
    "whistle": ((0.8, 1.8), _whistle),
    "volume_step": ((0.5, 0.5), _volume_step),
    "silence": ((2.5, 5), _silence),
}

DISTRACTORS: Final = (
    "advert_break", "advert_break", "announcement", "drums", "dull_replay", "fast_pan",
    "fizzled_attack", "line_up", "loud_crowd", "music_sting", "silence", "whistle",
)  # fmt: skip
"""The kinds in the proportion in which they occur; the step of the volume occurs once."""
