"""A moment of a stream: its bounds, the measurements around it, and its candidate."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import pstdev
from typing import Final
from uuid import UUID

from domain.analysis.baseline import Baselines, NormalizedFrame, SpreadBounds, quantile
from domain.analysis.fusion import FusedEvidence
from domain.analysis.scoring import Cues, evidence, score, tags
from domain.analysis.screen import MatchState, ScreenFact, attached_state
from domain.highlights.candidate import HighlightCandidate, Mark
from domain.ids import highlight_id
from domain.media.timestamps import ClockAnchor
from domain.model import Model

_RECORD_NEEDS: Final = 60


FACT_AFTER: Final = 12.0
"""Seconds from a peak to the last fact from the screen that may belong to it."""


# The screen reports what was played before it: seconds before the first fact that a clip shows.
_PLAYED_BEFORE: Final = 6.0


_SHOWN_FOR: Final = 1.5


_NEAR_TOP: Final = 0.8


_BUILT_UP: Final = 0.25


FALLEN: Final = 0.45
"""Share of the peak below which excitement has fallen."""


_LEAD: Final = (2.5, 6.0)


_TAIL: Final = (3.5, 6.5)


_LEAD_BEFORE_RISE: Final = 1.5


# A moment of the fitted fusion: build-up and pay-off of the films that it was fitted on, without
# the margins that profiles add to every clip.
_FUSED_LEAD: Final = 3.0


_FUSED_TAIL: Final = 1.5


_LASTS_ON: Final = 2.0


_KNOWN_AFTER: Final = 30


_NEARLY: Final = 0.75


_FRAMES_A_SECOND: Final = 4


_ONSET_SPREAD: Final = SpreadBounds(least=0.5, most=3.0, prior=1.0)


_SHARP_ONSET: Final = 9.0


_STILL_LOUD: Final = 0.6


_SAFE_REACH: Final = 4.0


_PAUSE: Final = 8.0


_SAFE_POINTS: Final = 4


_PICTURE_REACH: Final = 2.0


class Moment(Model):
    """A moment of a stream, and the measurements around it.

    Attributes:
        start: seconds of media time, as `peak` and `end` are.
        safe_starts: points near the start where a cut is not noticed, nearest first.
        safe_ends: the same near the end.
        cues: the measurements.
        picture: perceptual hash of the keyframe nearest to the peak; None if none is near.
        state: state of the match, as read on the screen; None if it is not known.
    """

    start: float
    peak: float
    end: float
    safe_starts: tuple[float, ...] = ()
    safe_ends: tuple[float, ...] = ()
    cues: Cues
    picture: str | None = None
    state: MatchState | None = None

    def with_mark(self, mark: Mark | None) -> Moment:
        """Return the moment with a tenant's mark, or without any."""
        return Moment(
            start=self.start,
            peak=self.peak,
            end=self.end,
            safe_starts=self.safe_starts,
            safe_ends=self.safe_ends,
            cues=self.cues.with_mark(mark),
            picture=self.picture,
            state=self.state,
        )

    def with_fused(self, fused: FusedEvidence) -> Moment:
        """Return the moment as one that the fitted fusion weighs."""
        return Moment.model_validate({**dict(self), "cues": self.cues.with_fused(fused)})

    def with_facts(self, facts: Sequence[ScreenFact], state: MatchState | None) -> Moment:
        """Return the moment with facts from the screen; its clip shows them and the play before.

        Args:
            facts: the facts, in order of time; those that it has already are kept.
            state: state of the match, if no fact knows it.
        """
        known = (*self.cues.screen, *(each for each in facts if each not in self.cues.screen))
        first = min((each.at for each in known), default=self.peak)
        start = min(self.start, max(0.0, first - _PLAYED_BEFORE)) if known else self.start
        last = max((each.at for each in known), default=self.peak)
        end = max(self.end, min(last + _SHOWN_FOR, self.peak + FACT_AFTER + _SHOWN_FOR))
        return Moment(
            start=round(start, 3),
            peak=self.peak,
            end=round(end, 3),
            safe_starts=self.safe_starts if start == self.start else (),
            safe_ends=self.safe_ends if end == self.end else (),
            cues=self.cues.with_screen(known),
            picture=self.picture,
            state=attached_state(known) or state,
        )


def measure_fused(
    frames: Sequence[NormalizedFrame], baselines: Baselines, *, second: int, fused: FusedEvidence
) -> Moment | None:
    """Measure a moment that the fitted fusion found; None if its frames are not known.

    Args:
        frames: the recent frames, oldest first.
        baselines: the stream's baselines.
        second: the second (of media time) of its peak.
        fused: the fusion's verdict on that second.
    """
    at = second + 0.5
    peak = min(frames, key=lambda each: abs(each.at - at))
    if abs(peak.at - at) > 1.0:
        return None
    measured = measure_moment(frames, baselines, since=peak.at, peak=peak, fallen=True)
    start, end = max(0.0, peak.at - _FUSED_LEAD), peak.at + _FUSED_TAIL
    return Moment(
        start=round(start, 3),
        peak=measured.peak,
        end=round(end, 3),
        safe_starts=_safe(frames, start),
        safe_ends=_safe(frames, end),
        cues=measured.cues.with_fused(fused),
        picture=measured.picture,
    )


def find_peak(frames: Sequence[NormalizedFrame], since: float) -> NormalizedFrame:
    """Return the first frame near the highest excitement: a plateau peaks where it begins."""
    inside = [each for each in frames if each.at >= since] or [frames[-1]]
    top = max(each.level for each in inside)
    return next(each for each in inside if each.level >= _NEAR_TOP * top)


def measure_moment(
    frames: Sequence[NormalizedFrame],
    baselines: Baselines,
    *,
    since: float,
    peak: NormalizedFrame,
    fallen: bool,
) -> Moment:
    """Measure a moment.

    Args:
        frames: the recent frames, oldest first.
        baselines: the stream's baselines.
        since: media time (s) at which the moment opened.
        peak: its peak.
        fallen: True if the excitement has fallen again, so that the end is known.
    """
    at = peak.at
    start, end = _bounds(frames, peak, fallen=fallen)
    return Moment(
        start=start,
        peak=round(at, 3),
        end=end,
        safe_starts=_safe(frames, start),
        safe_ends=_safe(frames, end),
        cues=_cues(frames, baselines, since=since, peak=peak),
        picture=_picture(frames, at),
    )


def to_candidate(
    moment: Moment,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    analyzer: str,
    settled_at: float,
    clock: ClockAnchor | None,
) -> HighlightCandidate:
    """Return the candidate for a moment, with scores and evidence."""
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
        unmarked=score(moment.with_mark(None).cues) if moment.cues.mark else None,
        state=moment.state,
    )


def _within(frames: Sequence[NormalizedFrame], first: float, last: float) -> list[NormalizedFrame]:
    return [each for each in frames if first <= each.at <= last]


def _bounds(
    frames: Sequence[NormalizedFrame], peak: NormalizedFrame, *, fallen: bool
) -> tuple[float, float]:
    start = peak.at
    for each in reversed(_within(frames, peak.at - _LEAD[1], peak.at)):
        if each.level < _BUILT_UP * peak.level:
            break
        start = each.at
    start = min(peak.at - _LEAD[0], max(peak.at - _LEAD[1], start - _LEAD_BEFORE_RISE))
    end = frames[-1].at + (0.0 if fallen else _LASTS_ON)
    if fallen:
        loud = [e.at for e in frames if e.at >= peak.at and e.level >= FALLEN * peak.level]
        end = max(loud, default=peak.at)
    end = min(peak.at + _TAIL[1], max(peak.at + _TAIL[0], end))
    return max(0.0, round(start, 3)), round(end, 3)


def _cues(
    frames: Sequence[NormalizedFrame], baselines: Baselines, *, since: float, peak: NormalizedFrame
) -> Cues:
    at = peak.at
    around = _within(frames, at - 4.0, at + 5.0)
    crowds = [each.crowd for each in around if each.crowd is not None]
    roaring = sorted(
        (each for each in around if each.crowd_level is not None),
        key=lambda each: -(each.crowd_level or 0.0),
    )[: max(1, len(around) // 4)]
    crowd_levels = [each.crowd_level for each in around if each.crowd_level is not None]
    onset = min(since, at - 2.0)
    covered = sum(each.duration for each in around)
    span = max(1.0, frames[-1].at - (at - 4.0))
    return Cues(
        crowd=max(crowds, default=None),
        crowd_sigmas=max(
            (e.crowd_sigmas for e in around if e.crowd_sigmas is not None), default=None
        ),
        voice=max((e.voice for e in around if e.voice is not None), default=None),
        motion=max((e.moving for e in around if e.moving is not None), default=None),
        cuts=sum(each.cut for each in _within(frames, at - 2.5, at + 6.0)),
        cuts_before=sum(each.cut for each in _within(frames, onset - 10.0, onset - 0.5)),
        tonality=sum(each.tonality for each in roaring) / len(roaring) if roaring else 0.0,
        decay=_decay(frames, at),
        dynamics=_dynamics(frames, at),
        held=_held(frames, at),
        sustained=_sustained(frames, at),
        attack=_attack(frames, baselines, at),
        known=min(
            1.0,
            max(len(baselines.crowd_level.samples), len(baselines.motion.samples)) / _KNOWN_AFTER,
        ),
        quiet_before=max(
            (-e.crowd for e in _within(frames, at - 5.0, at - 0.5) if e.crowd is not None),
            default=0.0,
        ),
        record=bool(crowd_levels)
        and len(baselines.crowd_level.samples) >= _RECORD_NEEDS
        and max(crowd_levels) > max(baselines.crowd_level.samples) + 1.0,
        damaged=min(1.0, max(0.0, 1.0 - covered / min(9.0, span))),
    )


def _picture(frames: Sequence[NormalizedFrame], peak: float) -> str | None:
    """Return the hash of the keyframe nearest to the peak; None if none is near."""
    near = _within(frames, peak - _PICTURE_REACH, peak + _PICTURE_REACH)
    seen = [each for each in near if each.picture is not None]
    return min(seen, key=lambda each: abs(each.at - peak)).picture if seen else None


def _decay(frames: Sequence[NormalizedFrame], peak: float) -> float:
    """Return the share of the crowd's rise that is gone since the peak, 0 to 1."""
    after = [e.crowd for e in frames if e.at >= peak - 1.0 and e.crowd is not None]
    if not after or max(after) <= 0:
        return 1.0
    latest = after[-3:]
    return min(1.0, max(0.0, 1.0 - sum(latest) / len(latest) / max(after)))


def _held(frames: Sequence[NormalizedFrame], peak: float) -> float:
    """Return the seconds in which the crowd was near its loudest."""
    around = [e for e in frames if e.at >= peak - 4.0 and e.crowd is not None]
    top = max((e.crowd or 0.0 for e in around), default=0.0)
    return sum(e.duration for e in around if top > 0 and (e.crowd or 0.0) >= _NEARLY * top)


def _sustained(frames: Sequence[NormalizedFrame], peak: float) -> float:
    """Return the share of its rise that the crowd kept around the peak, 0 to 1.

    A crowd stays loud for seconds. The bangs of a game are as loud, with quiet between them.
    """
    around = [e.crowd for e in _within(frames, peak - 0.5, peak + 2.5) if e.crowd is not None]
    top = max(around, default=0.0)
    return min(1.0, max(0.0, quantile(around, 0.25) / top)) if top > 0 else 0.0


def _dynamics(frames: Sequence[NormalizedFrame], peak: float) -> float:
    """Return the standard deviation (dB) of the loudness while the crowd was loud."""
    around = [e for e in _within(frames, peak + 0.25, peak + 4.5) if e.crowd is not None]
    top = max((each.crowd or 0.0 for each in around), default=0.0)
    levels = [
        each.loudness
        for each in around
        if each.loudness is not None and (each.crowd or 0.0) >= _STILL_LOUD * top
    ]
    return pstdev(levels) if levels else 0.0


def _attack(frames: Sequence[NormalizedFrame], baselines: Baselines, peak: float) -> float:
    """Return how sudden the beginning was, 0 to 1, by the steepest second or by an onset."""
    around = [e for e in _within(frames, peak - 4.0, peak + 3.0) if e.crowd is not None]
    top = max((e.crowd or 0.0 for e in around), default=0.0)
    if top <= 0:
        return 0.0
    steepest = max(
        (later.crowd or 0.0) - (each.crowd or 0.0)
        for index, each in enumerate(around)
        for later in around[index : index + _FRAMES_A_SECOND + 1]
    )
    typical = baselines.onset.typical(_ONSET_SPREAD)
    onset = max(e.onset or 0.0 for e in _within(around, peak - 1.5, peak + 1.0))
    sudden = (onset - typical.level) / _SHARP_ONSET if typical else 0.0
    return min(1.0, max(steepest / top, sudden))


def _safe(frames: Sequence[NormalizedFrame], bound: float) -> tuple[float, ...]:
    """Return the scene cuts and pauses near a bound, nearest first."""
    near = _within(frames, bound - _SAFE_REACH, bound + _SAFE_REACH)
    levels = sorted(each.loudness for each in near if each.loudness is not None)
    quiet = levels[len(levels) // 2] - _PAUSE if levels else None
    points = [
        round(each.at - each.duration / 2, 3)
        for each in near
        if each.cut or (quiet is not None and each.loudness is not None and each.loudness < quiet)
    ]
    return tuple(sorted(points, key=lambda point: (abs(point - bound), point))[:_SAFE_POINTS])
