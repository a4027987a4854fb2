"""Alignment of a separate audio rendition with video segments.

Audio segments have their own boundaries and numbers. They share the container's clock with the
video. A segment's clock is known once it is downloaded, and extrapolated to its neighbors up to a
discontinuity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from domain.ingest.playlist import ListedSegment
from domain.media.timeline import unwrap

_TOLERANCE: Final = 0.1

AudioSpan = tuple[float, float]
"""First timestamp and duration in seconds, as measured."""


@dataclass(frozen=True)
class AudioCover:
    """The audio segments of a video segment.

    Attributes:
        wanted: overlapping segments in order, including likely ones that are not measured yet.
        complete: True if the listed segments reach the end of the video segment.
    """

    wanted: tuple[ListedSegment, ...]
    complete: bool


def find_audio(
    segments: Sequence[ListedSegment],
    measured: Callable[[ListedSegment], AudioSpan | None],
    *,
    usable: Callable[[ListedSegment], bool] = lambda _: True,
    pictures: ListedSegment,
    start: float,
    end: float,
) -> AudioCover:
    """Find the audio segments of a video segment.

    Args:
        segments: segments of the audio playlist.
        measured: returns the measured span of a segment; None if it is not measured.
        usable: returns False for segments that are unavailable and count as silence.
        pictures: the video segment as its playlist lists it.
        start: start of the video segment, in seconds of the container's clock.
        end: its end.
    """
    spans = _extrapolate(segments, measured, near=start)
    over = [
        segment
        for segment, span in zip(segments, spans, strict=True)
        if span is not None and span[0] < end and span[0] + span[1] > start
    ]
    if over:
        over = [each for each in _last_run(over) if usable(each)]
        reach = max(sum(span) for span in spans if span is not None and span[0] < end)
        return AudioCover(tuple(over), complete=reach >= end - _TOLERANCE)
    unknown = [
        segment
        for segment, span in zip(segments, spans, strict=True)
        if span is None and usable(segment)
    ]
    guess = _guess(unknown, pictures)
    if guess is not None:
        return AudioCover((guess,), complete=False)
    later = any(span is not None and span[0] >= end for span in spans)
    return AudioCover((), complete=later)


def _extrapolate(
    segments: Sequence[ListedSegment],
    measured: Callable[[ListedSegment], AudioSpan | None],
    *,
    near: float,
) -> list[AudioSpan | None]:
    """Return each segment's span: measured, or extrapolated from a neighbor."""
    spans: list[AudioSpan | None] = []
    following: float | None = None
    for segment in segments:
        span = measured(segment)
        if span is not None:
            span = unwrap(span[0], near=near), span[1]
        elif following is not None and not segment.discontinuity:
            span = following, segment.duration
        spans.append(span)
        following = None if span is None else sum(span)
    for index in range(len(segments) - 2, -1, -1):
        after = spans[index + 1]
        if spans[index] is None and after is not None and not segments[index + 1].discontinuity:
            duration = segments[index].duration
            spans[index] = after[0] - duration, duration
    return spans


def _last_run(over: list[ListedSegment]) -> list[ListedSegment]:
    """Return the segments after the last discontinuity, where clocks may have restarted."""
    for index in range(len(over) - 1, 0, -1):
        if over[index].sequence != over[index - 1].sequence + 1:
            return over[index:]
    return over


def _guess(segments: Sequence[ListedSegment], pictures: ListedSegment) -> ListedSegment | None:
    """Return the most likely segment: by date, by number, or the last."""
    date = pictures.program_date_time
    if date is not None:
        for segment in segments:
            begins, ends = segment.program_date_time, segment.ends_at
            if begins is not None and ends is not None and begins <= date < ends:
                return segment
    for segment in segments:
        if segment.sequence == pictures.sequence:
            return segment
    return segments[-1] if segments else None
