"""Spans of a stream that a tenant asks a clip of, and what of them can be cut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final
from uuid import UUID

from pydantic import NonNegativeFloat

from domain.clips.models import ClipSpec
from domain.clips.tracker import SHORTEST, continuous_runs, lead_in
from domain.ids import requested_clip_id
from domain.media.segments import SegmentRef
from domain.model import Model

_ROUNDING: Final = 0.01
"""Seconds by which a span may exceed the stored media: positions are shown rounded.

It holds for clips and exports alike. Between segments, `SEAM` decides what is continuous."""


MAX_PARTS: Final = 20
"""Clips into which a span can be split."""


class OnGap(StrEnum):
    """What becomes of a span in which media is missing."""

    REFUSE = "refuse"
    SPLIT = "split"


class StreamSpan(Model):
    """Media time `start`..`end` (s)."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.start:.3f}-{self.end:.3f} s"


class LastSeconds(Model):
    """The latest `seconds` of a stream."""

    seconds: NonNegativeFloat

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.seconds


class AroundTime(Model):
    """The seconds before and after an instant of the wall clock."""

    at: datetime
    before: NonNegativeFloat
    after: NonNegativeFloat

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.before + self.after


WantedSpan = StreamSpan | LastSeconds | AroundTime


class ClipRefusedError(Exception):
    """The media of a clip on demand is not there; the message says what is."""


class MediaGoneError(ClipRefusedError):
    """The span begins before the media that is still kept."""


class MediaNotReadyError(ClipRefusedError):
    """The span ends after the media that is stored so far."""


class MediaMissingError(ClipRefusedError):
    """Media is missing within the span, or the stream ended before its end."""


class NoWallClockError(ClipRefusedError):
    """The stream does not say which time it is."""


class ClipPlan(Model):
    """Clips to render of a span, and the parts of it without media, in order."""

    clips: tuple[ClipSpec, ...]
    missing: tuple[StreamSpan, ...] = ()


def locate_span(wanted: WantedSpan, segments: Sequence[SegmentRef]) -> StreamSpan:
    """Return the span on the media timeline.

    Args:
        wanted: what was asked for.
        segments: the stored segments, at least one, in order of `start`.

    Raises:
        NoWallClockError: it is around a time, and no segment has a wall clock.
    """
    if isinstance(wanted, StreamSpan):
        return wanted
    if isinstance(wanted, LastSeconds):
        end = segments[-1].end
        return StreamSpan(start=end - wanted.seconds, end=end)
    at = _position_of(wanted.at, segments)
    return StreamSpan(start=at - wanted.before, end=at + wanted.after)


def plan_span(
    span: StreamSpan,
    segments: Sequence[SegmentRef],
    *,
    tenant_id: UUID,
    stream_id: UUID,
    request_id: UUID,
    on_gap: OnGap = OnGap.REFUSE,
    ended: bool = False,
) -> ClipPlan:
    """Return the clips to render of a span. A clip is never shorter without saying so.

    Args:
        span: the span.
        segments: the stored segments, at least one, in order of `start`.
        tenant_id: whose stream it is.
        stream_id: the stream.
        request_id: from which the ids of the clips are derived.
        on_gap: what to do if media is missing within the span.
        ended: True if the stream has ended, so that no media follows.

    Raises:
        ClipRefusedError: the media is not there.
    """
    kept = StreamSpan(start=segments[0].start, end=segments[-1].end)
    if span.start < kept.start - _ROUNDING:
        raise MediaGoneError(f"{span} begins before the media that is kept: {kept}.")
    if span.end > kept.end + _ROUNDING:
        if ended:
            raise MediaMissingError(f"{span} reaches beyond the end of the stream. Kept: {kept}.")
        raise MediaNotReadyError(f"{span} reaches beyond the media stored so far: {kept}.")
    runs = continuous_runs(segments)
    parts = [
        StreamSpan(start=max(span.start, run[0].start), end=min(span.end, run[-1].end))
        for run in runs
    ]
    whole = [
        (part, run)
        for part, run in zip(parts, runs, strict=True)
        if round(part.duration, 6) >= SHORTEST
    ]
    missing = _missing(span, [part for part, _ in whole])
    if missing and (on_gap is OnGap.REFUSE or not whole):
        places = ", ".join(str(each) for each in missing)
        raise MediaMissingError(f"Of {span}, media is missing: {places}.")
    if len(whole) > MAX_PARTS:
        raise MediaMissingError(
            f"{span} is split into {len(whole)} parts by missing media; at most {MAX_PARTS} are "
            "allowed."
        )
    return ClipPlan(
        clips=tuple(
            ClipSpec(
                id=requested_clip_id(request=request_id, part=number),
                tenant_id=tenant_id,
                stream_id=stream_id,
                highlight_id=None,
                start=part.start,
                end=part.end,
                peak=(part.start + part.end) / 2,
                segments=_media(part, run),
            )
            for number, (part, run) in enumerate(whole)
        ),
        missing=missing,
    )


def missing_parts(span: StreamSpan, segments: Sequence[SegmentRef]) -> tuple[StreamSpan, ...]:
    """Return the parts of a span for which no media is stored, in order; none if it is whole.

    Args:
        span: the span.
        segments: stored segments, in order of `start`; none is needed.
    """
    parts = [
        StreamSpan(start=max(span.start, run[0].start), end=min(span.end, run[-1].end))
        for run in continuous_runs(segments)
    ]
    return _missing(span, [part for part in parts if part.duration > 0])


def _missing(span: StreamSpan, parts: Sequence[StreamSpan]) -> tuple[StreamSpan, ...]:
    edges = [
        (span.start, span.start),
        *((part.start, part.end) for part in parts),
        (span.end, span.end),
    ]
    return tuple(
        StreamSpan(start=before[1], end=after[0])
        for before, after in pairwise(edges)
        if after[0] - before[1] > _ROUNDING
    )


def _media(part: StreamSpan, run: Sequence[SegmentRef]) -> tuple[SegmentRef, ...]:
    shown = [each for each in run if each.start < part.end and each.end > part.start]
    return (*lead_in(run, shown[0]), *shown)


def _position_of(at: datetime, segments: Sequence[SegmentRef]) -> float:
    """Return the media time (s) of an instant: within a segment, else counted from the nearest."""
    clocks = [
        (each.program_date_time, each) for each in segments if each.program_date_time is not None
    ]
    if not clocks:
        raise NoWallClockError("The stream has no EXT-X-PROGRAM-DATE-TIME.")
    for clock, each in clocks:
        if clock <= at < clock + timedelta(seconds=each.duration):
            return each.start + (at - clock).total_seconds()
    earlier = [(clock, each) for clock, each in clocks if clock <= at]
    clock, each = max(earlier, key=lambda pair: pair[0]) if earlier else clocks[0]
    return each.start + (at - clock).total_seconds()
