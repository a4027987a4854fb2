"""Which stored segments a clip is cut from, and when it can be cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from domain.clips.models import ClipSpec
from domain.highlights.selection import Decision, DecisionStatus
from domain.ids import clip_id
from domain.media.segments import SegmentRef

SEAM: Final = 0.25
"""Seconds by which neighbouring segments may miss each other and still count as continuous.

Twice the longest frame that players meet in practice (8 fps) and well below a lost segment."""

SHORTEST: Final = 1.0
"""Seconds below which a clip shows nothing worth watching."""


LONGEST_LEAD_IN: Final = 30.0
"""Seconds of media before a clip that are read to find the keyframe its first picture needs."""

NEAR_PEAK: Final = 0.5
"""Seconds that undamaged media may begin after the peak, or end before it, and still show it."""

REACH: Final = 2.0
"""Seconds from the peak within which media must lie: one segment of a 100ms stream."""


def wants_clip(decision: Decision) -> bool:
    """Tell whether a decision calls for a clip: pending ones too, so that none has to wait."""
    return decision.status in {DecisionStatus.PENDING, DecisionStatus.CONFIRMED}


def can_cut(decision: Decision, *, media_end: float, ended: bool) -> bool:
    """Tell whether all media of a clip has been stored, given that it ends at `media_end` s."""
    return ended or media_end >= decision.clip_end


def plan_clip(
    decision: Decision,
    segments: Sequence[SegmentRef],
    *,
    tenant_id: UUID,
    stream_id: UUID,
    cut: int = 0,
) -> ClipSpec | None:
    """Return what to cut for `decision` out of `segments` (in order of `start`).

    `cut` counts the clips that the highlight had before.

    Where media is missing in the middle, the clip keeps to the unbroken run around the peak: a
    jump inside a clip looks like a fault. The segments begin with the last keyframe before it,
    which may lie in one that ends before the clip starts. Returns None when there is no media near
    the peak, or less than `SHORTEST` seconds of it.
    """
    run = _run_around(decision.peak, segments)
    segments = [
        segment
        for segment in run
        if segment.start < decision.clip_end and segment.end > decision.clip_start
    ]
    start = max(decision.clip_start, segments[0].start) if segments else 0.0
    end = min(decision.clip_end, segments[-1].end) if segments else 0.0
    if round(end - start, 6) < SHORTEST:  # the difference of two floats is a little off
        return None
    return ClipSpec(
        id=clip_id(
            highlight=decision.highlight_id,
            start=decision.clip_start,
            end=decision.clip_end,
            cut=cut,
        ),
        tenant_id=tenant_id,
        stream_id=stream_id,
        highlight_id=decision.highlight_id,
        start=start,
        end=end,
        peak=min(max(decision.peak, start), end),
        segments=(*_lead_in(run, segments[0]), *segments),
    )


def undamaged_part(
    duration: float, holes: Sequence[tuple[float, float]], *, peak: float
) -> tuple[float, float] | None:
    """Return the part of a clip without `holes` that shows its peak; all in seconds of the clip.

    Returns None when there is none of at least `SHORTEST` seconds.
    """
    parts: list[tuple[float, float]] = []
    at = 0.0
    for begin, end in sorted(holes):
        parts.append((at, begin))
        at = max(at, end)
    parts.append((at, duration))
    shown = [
        part
        for part in parts
        if part[1] - part[0] >= SHORTEST and part[0] - NEAR_PEAK <= peak <= part[1] + NEAR_PEAK
    ]
    return max(shown, key=lambda part: part[1] - part[0], default=None)


def _lead_in(run: Sequence[SegmentRef], first: SegmentRef) -> list[SegmentRef]:
    """Return the segments before `first` that its pictures refer to: from the last keyframe on."""
    if first.starts_with_keyframe or not first.has_video:
        return []
    lead: list[SegmentRef] = []
    for segment in reversed(run[: run.index(first)]):
        if first.start - segment.start > LONGEST_LEAD_IN:
            break
        lead.insert(0, segment)
        if segment.has_keyframe:
            break
    return lead


def _run_around(peak: float, segments: Sequence[SegmentRef]) -> list[SegmentRef]:
    """Return the unbroken run of segments that holds `peak`, or the nearest within `REACH`."""
    runs: list[list[SegmentRef]] = []
    for segment in segments:
        if runs and segment.start - runs[-1][-1].end <= SEAM:
            runs[-1].append(segment)
        else:
            runs.append([segment])
    near = [(_distance(peak, run), index) for index, run in enumerate(runs)]
    if not near or min(near)[0] > REACH:
        return []
    return runs[min(near)[1]]


def _distance(peak: float, run: Sequence[SegmentRef]) -> float:
    return max(run[0].start - peak, peak - run[-1].end, 0.0)
