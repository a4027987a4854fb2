"""A moment of a stream: where it begins, peaks and ends, and what was measured around it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import pstdev
from typing import Final
from uuid import UUID

from domain.baseline import Spread
from domain.candidate import HighlightCandidate
from domain.ids import highlight_id
from domain.local_scoring import Cues, evidence, score, tags
from domain.marks import Mark
from domain.model import Model
from domain.readings import Reading, Usuals
from domain.wall_clock import ClockAnchor

_RECORD_NEEDS: Final = 60
_NEAR_TOP: Final = 0.8
_BUILT_UP: Final = 0.25
_FALLEN: Final = 0.45
_LEAD: Final = (2.5, 6.0)
_TAIL: Final = (3.5, 6.5)
_LEAD_BEFORE_RISE: Final = 1.5
_LASTS_ON: Final = 2.0
_KNOWN_AFTER: Final = 30
_NEARLY: Final = 0.75
_FRAMES_A_SECOND: Final = 4
_ONSET_SPREAD: Final = Spread(least=0.5, most=3.0, prior=1.0)
_SHARP_ONSET: Final = 9.0
_STILL_LOUD: Final = 0.6
_SAFE_REACH: Final = 4.0
_PAUSE: Final = 8.0
_SAFE_POINTS: Final = 4
_PICTURE_REACH: Final = 2.0


class Moment(Model):
    """Bounds in seconds of media time, safe places for a cut near them, and the cues.

    `picture` is the perceptual hash of the keyframe nearest to the peak, if one is near.
    """

    start: float
    peak: float
    end: float
    safe_starts: tuple[float, ...] = ()
    safe_ends: tuple[float, ...] = ()
    cues: Cues
    picture: str | None = None

    def marked(self, mark: Mark | None) -> Moment:
        """Return the moment with the tenant's mark on it; None leaves it unmarked."""
        return self.model_copy(update={"cues": self.cues.model_copy(update={"mark": mark})})


def peak_of(readings: Sequence[Reading], since: float) -> Reading:
    """Return where the excitement first came near its top: a plateau peaks where it begins."""
    inside = [each for each in readings if each.at >= since] or [readings[-1]]
    top = max(each.level for each in inside)
    return next(each for each in inside if each.level >= _NEAR_TOP * top)


def measure(
    readings: Sequence[Reading], usuals: Usuals, *, since: float, peak: Reading, fallen: bool
) -> Moment:
    """Measure the moment that began to show at `since` and peaks at `peak`.

    `fallen` says that the excitement has fallen again already, so that the end can be seen.
    """
    at = peak.at
    start, end = _bounds(readings, peak, fallen=fallen)
    return Moment(
        start=start,
        peak=round(at, 3),
        end=end,
        safe_starts=_safe(readings, start),
        safe_ends=_safe(readings, end),
        cues=_cues(readings, usuals, since=since, peak=peak),
        picture=_picture(readings, at),
    )


def describe(
    moment: Moment,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    analyzer: str,
    settled_at: float,
    clock: ClockAnchor | None,
) -> HighlightCandidate:
    """Return the candidate for a moment, with its scores and its reasons."""
    return HighlightCandidate(
        id=highlight_id(tenant_id=tenant_id, stream_id=stream_id, peak=moment.peak),
        start=moment.start,
        peak=moment.peak,
        end=moment.end,
        settled_at=round(settled_at, 3),
        score=score(moment.cues),
        analyzer=analyzer,
        tags=tags(moment.cues),
        evidence=evidence(moment.cues),
        safe_starts=moment.safe_starts,
        safe_ends=moment.safe_ends,
        peak_wall_clock=clock.wall_clock(moment.peak) if clock else None,
        thumbnail_hash=moment.picture,
        mark=moment.cues.mark,
        unmarked=score(moment.marked(None).cues) if moment.cues.mark else None,
    )


def _within(readings: Sequence[Reading], first: float, last: float) -> list[Reading]:
    return [each for each in readings if first <= each.at <= last]


def _bounds(readings: Sequence[Reading], peak: Reading, *, fallen: bool) -> tuple[float, float]:
    start = peak.at
    for each in reversed(_within(readings, peak.at - _LEAD[1], peak.at)):
        if each.level < _BUILT_UP * peak.level:
            break
        start = each.at
    start = min(peak.at - _LEAD[0], max(peak.at - _LEAD[1], start - _LEAD_BEFORE_RISE))
    end = readings[-1].at + (0.0 if fallen else _LASTS_ON)
    if fallen:
        loud = [e.at for e in readings if e.at >= peak.at and e.level >= _FALLEN * peak.level]
        end = max(loud, default=peak.at)
    end = min(peak.at + _TAIL[1], max(peak.at + _TAIL[0], end))
    return max(0.0, round(start, 3)), round(end, 3)


def _cues(readings: Sequence[Reading], usuals: Usuals, *, since: float, peak: Reading) -> Cues:
    at = peak.at
    around = _within(readings, at - 4.0, at + 5.0)
    crowds = [each.crowd for each in around if each.crowd is not None]
    roaring = sorted(
        (each for each in around if each.roar is not None), key=lambda each: -(each.roar or 0.0)
    )[: max(1, len(around) // 4)]
    roars = [each.roar for each in around if each.roar is not None]
    onset = min(since, at - 2.0)
    covered = sum(each.duration for each in around)
    span = max(1.0, readings[-1].at - (at - 4.0))
    return Cues(
        crowd=max(crowds, default=None),
        crowd_sigmas=max(
            (e.crowd_sigmas for e in around if e.crowd_sigmas is not None), default=None
        ),
        voice=max((e.voice for e in around if e.voice is not None), default=None),
        motion=max((e.moving for e in around if e.moving is not None), default=None),
        cuts=sum(each.cut for each in _within(readings, at - 2.5, at + 6.0)),
        cuts_before=sum(each.cut for each in _within(readings, onset - 10.0, onset - 0.5)),
        tonality=sum(each.tonality for each in roaring) / len(roaring) if roaring else 0.0,
        decay=_decay(readings, at),
        dynamics=_dynamics(readings, at),
        held=_held(readings, at),
        attack=_attack(readings, usuals, at),
        known=min(1.0, max(len(usuals.roar.samples), len(usuals.motion.samples)) / _KNOWN_AFTER),
        quiet_before=max(
            (-e.crowd for e in _within(readings, at - 5.0, at - 0.5) if e.crowd is not None),
            default=0.0,
        ),
        record=bool(roars)
        and len(usuals.roar.samples) >= _RECORD_NEEDS
        and max(roars) > max(usuals.roar.samples) + 1.0,
        damaged=min(1.0, max(0.0, 1.0 - covered / min(9.0, span))),
    )


def _picture(readings: Sequence[Reading], peak: float) -> str | None:
    """Return the hash of the keyframe nearest to the peak, if it shows what the peak does."""
    near = _within(readings, peak - _PICTURE_REACH, peak + _PICTURE_REACH)
    seen = [each for each in near if each.picture is not None]
    return min(seen, key=lambda each: abs(each.at - peak)).picture if seen else None


def _decay(readings: Sequence[Reading], peak: float) -> float:
    """Return the share of the crowd's rise that has gone again since the peak."""
    after = [e.crowd for e in readings if e.at >= peak - 1.0 and e.crowd is not None]
    if not after or max(after) <= 0:
        return 1.0
    latest = after[-3:]
    return min(1.0, max(0.0, 1.0 - sum(latest) / len(latest) / max(after)))


def _held(readings: Sequence[Reading], peak: float) -> float:
    """Return for how many seconds the crowd stayed near its loudest."""
    around = [e for e in readings if e.at >= peak - 4.0 and e.crowd is not None]
    top = max((e.crowd or 0.0 for e in around), default=0.0)
    return sum(e.duration for e in around if top > 0 and (e.crowd or 0.0) >= _NEARLY * top)


def _dynamics(readings: Sequence[Reading], peak: float) -> float:
    """Return the standard deviation (dB) of the loudness while the crowd was still loud."""
    around = [e for e in _within(readings, peak + 0.25, peak + 4.5) if e.crowd is not None]
    top = max((each.crowd or 0.0 for each in around), default=0.0)
    levels = [
        each.loudness
        for each in around
        if each.loudness is not None and (each.crowd or 0.0) >= _STILL_LOUD * top
    ]
    return pstdev(levels) if levels else 0.0


def _attack(readings: Sequence[Reading], usuals: Usuals, peak: float) -> float:
    """Return how suddenly it began, 0 to 1: by the steepest second of the rise, or by an onset."""
    around = [e for e in _within(readings, peak - 4.0, peak + 3.0) if e.crowd is not None]
    top = max((e.crowd or 0.0 for e in around), default=0.0)
    if top <= 0:
        return 0.0
    steepest = max(
        (later.crowd or 0.0) - (each.crowd or 0.0)
        for index, each in enumerate(around)
        for later in around[index : index + _FRAMES_A_SECOND + 1]
    )
    usual = usuals.onset.usual(_ONSET_SPREAD)
    onset = max(e.onset or 0.0 for e in _within(around, peak - 1.5, peak + 1.0))
    sudden = (onset - usual.level) / _SHARP_ONSET if usual else 0.0
    return min(1.0, max(steepest / top, sudden))


def _safe(readings: Sequence[Reading], bound: float) -> tuple[float, ...]:
    """Return the cuts and the pauses within reach of a bound, nearest first."""
    near = _within(readings, bound - _SAFE_REACH, bound + _SAFE_REACH)
    levels = sorted(each.loudness for each in near if each.loudness is not None)
    quiet = levels[len(levels) // 2] - _PAUSE if levels else None
    points = [
        round(each.at - each.duration / 2, 3)
        for each in near
        if each.cut or (quiet is not None and each.loudness is not None and each.loudness < quiet)
    ]
    return tuple(sorted(points, key=lambda point: (abs(point - bound), point))[:_SAFE_POINTS])
