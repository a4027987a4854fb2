"""Which segments of a separate audio rendition sound over a segment of pictures.

Audio segments have boundaries and numbers of their own. What ties them to the pictures is the
container's clock, which both share; it is known of a segment once that has been fetched, and
reckoned from there for its neighbors, up to a discontinuity.
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
    """What is known of the sound over some pictures.

    Attributes:
        wanted: segments that sound over them, in order; those not measured yet are likely to.
        complete: whether the listed segments reach the pictures' end.
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
    """Find the sound over pictures.

    Args:
        segments: as the audio playlist lists them.
        measured: returns what a segment was measured as; None when it has not been.
        usable: returns False for segments that cannot be had, which are silence.
        pictures: the segment as its playlist lists it.
        start: where the pictures begin, and
        end: where they end, in seconds of the container's clock.
    """
    spans = _reckon(segments, measured, near=start)
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


def _reckon(
    segments: Sequence[ListedSegment],
    measured: Callable[[ListedSegment], AudioSpan | None],
    *,
    near: float,
) -> list[AudioSpan | None]:
    """Return where each segment lies: measured, or reckoned from a neighbor."""
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
    """Keep what follows the last discontinuity within: clocks may have begun again there."""
    for index in range(len(over) - 1, 0, -1):
        if over[index].sequence != over[index - 1].sequence + 1:
            return over[index:]
    return over


def _guess(segments: Sequence[ListedSegment], pictures: ListedSegment) -> ListedSegment | None:
    """Return the segment that is likely to sound over pictures: by date, by number, the last."""
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
