"""Stored media that analysis could not read: how much was read, and which stretches were not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from domain.media import Gap, GapReason, SegmentRef
from domain.signals import SegmentSignals

DETAIL: Final = "stored, but no part of it could be decoded"


def analyzed_in(segments: Iterable[tuple[SegmentRef, SegmentSignals | None]]) -> float:
    """Return the seconds of media that were analysed, from the first to the last readable frame.

    A segment of which nothing could be decoded counts for nothing.
    """
    seconds = 0.0
    for segment, signals in segments:
        read = [
            frame
            for frame in (signals.frames if signals else ())
            if frame.sound is not None or frame.picture is not None or frame.keys
        ]
        if read:
            seconds += min(segment.duration, read[-1].start + read[-1].duration - read[0].start)
    return round(seconds, 6)


def undecodable_gaps(segments: Sequence[SegmentRef]) -> tuple[Gap, ...]:
    """Return the gaps that undecodable segments (in order) make, neighbors together."""
    gaps: list[Gap] = []
    for segment in segments:
        last = gaps[-1] if gaps else None
        if last is not None and last.last_sequence + 1 == segment.media_sequence:
            joined = {
                "duration": max(last.duration, segment.end - last.start),
                "last_sequence": segment.media_sequence,
            }
            gaps[-1] = last.model_copy(update=joined)
            continue
        gaps.append(
            Gap(
                start=segment.start,
                duration=segment.duration,
                first_sequence=segment.media_sequence,
                last_sequence=segment.media_sequence,
                reason=GapReason.CORRUPT,
                detail=DETAIL,
                anchor_at=None if segment.program_date_time is None else segment.start,
                anchor_wall=segment.program_date_time,
            )
        )
    return tuple(gaps)
