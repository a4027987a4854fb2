"""When each segment of a live stream appears, and what the playlists then say.

The live instant. At N times the pace, a second of the input takes 1/N s of wall clock. A segment
is complete, and published, at the instant its last frame "happens"; so the wall clock at which
input second t of a segment happened is `published_at - (end - t) / pace`. That is what
EXT-X-PROGRAM-DATE-TIME says of t = start: it advances by `duration / pace` per segment, and it
stays true when the packager cannot keep the pace or the encoder stalls, since it is derived from
when segments really appeared.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from demo.origin.faults import Faults
from demo.origin.playlist import DatedMark, Mark, PublishedSegment
from demo.origin.timestamps import TICKS_PER_SECOND, WRAP

DEFAULT_WINDOW = 5

_JUMP = 3600 * TICKS_PER_SECOND


def window_for(pace: float) -> int:
    """Return how many segments to list: 100ms's five at real time, so 10 s of wall clock.

    Above real time the list is longer by the pace, so that a client has the same 10 s to fetch a
    segment; five segments at eight times the pace would be gone in 1.25 s, faster than RFC 8216
    (6.3.4) lets a client reload the playlist.
    """
    return math.ceil(DEFAULT_WINDOW * max(1.0, pace))


class Broadcast:
    """The published part of a stream.

    Args:
        pace: seconds of input per second of wall clock.
        window: segments listed at once; None lists all there ever were.
        segment_duration: seconds, as intended.
        faults: what goes wrong.
        marks: timed metadata.
        keep_all: segments that left the list are kept for ever.
    """

    def __init__(
        self,
        *,
        pace: float,
        window: int | None,
        segment_duration: float,
        faults: Faults,
        marks: Sequence[Mark] = (),
        keep_all: bool = False,
    ) -> None:
        self.pace = pace
        self.segments: list[PublishedSegment] = []
        self.upcoming: PublishedSegment | None = None
        self.ended = False
        self._window = window
        self._segment_duration = segment_duration
        self._faults = faults
        self._marks = list(marks)
        self._keep_all = keep_all
        self._base_shift: int | None = None
        self._stale_answers = 0

    def publish(
        self, *, duration: float, first_timestamp: int | None, at: datetime
    ) -> PublishedSegment:
        """Append the next segment: `duration` in s, `first_timestamp` in ticks of 90 kHz."""
        segment = self.open(duration=duration, first_timestamp=first_timestamp, at=at)
        self.segments.append(segment)
        self.upcoming = None
        regression = self._faults.regression
        if regression and not regression.lasting and segment.index == regression.at:
            self._stale_answers = regression.times
        return segment

    def open(
        self, *, duration: float, first_timestamp: int | None, at: datetime
    ) -> PublishedSegment:
        """Return the next segment, which will be published at `at`, without publishing it."""
        faults = self._faults
        index = len(self.segments)
        last = self.segments[-1] if self.segments else None
        start = last.end if last else 0.0
        restarts = faults.restart is not None and faults.restart.at == index
        discontinuity = restarts or index in faults.discontinuities
        segment = PublishedSegment(
            index=index,
            media_sequence=self._next_sequence(index),
            discontinuity_sequence=(last.discontinuity_sequence if last else 0) + discontinuity,
            start=start,
            duration=duration,
            program_date_time=at - timedelta(seconds=duration / self.pace),
            published_at=at,
            discontinuity=discontinuity,
            gap=index in faults.gaps,
            timestamp_shift=self._shift(index, start, first_timestamp),
        )
        if restarts and faults.restart is not None and faults.restart.reset_sequence:
            segment = segment.model_copy(update={"discontinuity_sequence": 1})
        self.upcoming = segment
        return segment

    def listed(self) -> list[PublishedSegment]:
        """Return the segments of the playlist as it stands now."""
        segments = self.segments
        faults = self._faults
        if self._stale_answers and faults.regression is not None:
            self._stale_answers -= 1
            segments = segments[: -faults.regression.by] or segments[:1]
        if faults.restart and faults.restart.reset_sequence and len(segments) > faults.restart.at:
            segments = segments[faults.restart.at :]
        return list(segments[-self._window :] if self._window else segments)

    def first_kept(self) -> int:
        """Return the index of the oldest segment still served: a window after it left the list."""
        if self._keep_all or not self._window:
            return 0
        return max(0, len(self.segments) - 2 * self._window)

    def mark(self, mark: Mark) -> None:
        """Add timed metadata."""
        self._marks.append(mark)

    def dated_marks(self, segments: Sequence[PublishedSegment]) -> list[DatedMark]:
        """Return the timed metadata that lie within the segments."""
        return [
            DatedMark(
                id=f"mark-{number}",
                starts=self.live_at(mark.at),
                duration=mark.duration / self.pace,
                payload=mark.payload,
            )
            for number, mark in enumerate(self._marks)
            if segments[0].start <= mark.at < segments[-1].end
        ]

    def live_at(self, seconds: float) -> datetime:
        """Return the wall clock (UTC) at which a second of the input happened live.

        Beyond what is published it is told on the assumption that the pace will be kept.

        Raises:
            LookupError: nothing has been published yet.
        """
        if not self.segments:
            raise LookupError("nothing has been published yet")
        number = bisect_right(self.segments, seconds, key=lambda segment: segment.start) - 1
        segment = self.segments[max(0, number)]
        return segment.published_at - timedelta(seconds=(segment.end - seconds) / self.pace)

    def input_time(self, at: datetime) -> float:
        """Return the second of the input that was live at `at` (UTC), within what is published.

        Raises:
            LookupError: nothing has been published yet.
        """
        if not self.segments:
            raise LookupError("nothing has been published yet")
        at = at.astimezone(UTC)
        number = bisect_right(self.segments, at, key=lambda s: s.program_date_time) - 1
        segment = self.segments[max(0, number)]
        seconds = segment.end - (segment.published_at - at).total_seconds() * self.pace
        return min(max(seconds, 0.0), segment.end)

    def _next_sequence(self, index: int) -> int:
        faults = self._faults
        if faults.restart and faults.restart.reset_sequence and index >= faults.restart.at:
            return index - faults.restart.at
        if faults.regression and faults.regression.lasting and index >= faults.regression.at:
            return max(0, index - faults.regression.by)
        return index

    def _shift(self, index: int, start: float, first_timestamp: int | None) -> int:
        """Return how far the timestamps of segment `index` are moved, in ticks of 90 kHz."""
        faults = self._faults
        if self._base_shift is None:
            self._base_shift = 0
            if faults.pts_wrap_in is not None:
                wrap_at = _ticks((faults.pts_wrap_in + 0.5) * self._segment_duration)
                self._base_shift = WRAP - (first_timestamp or 0) - wrap_at
        shift = self._base_shift + _JUMP * sum(at <= index for at in faults.discontinuities)
        if faults.restart is not None and index >= faults.restart.at:
            begun = next((s.start for s in self.segments if s.index == faults.restart.at), start)
            shift -= _ticks(begun)
        return shift


def _ticks(seconds: float) -> int:
    return round(seconds * TICKS_PER_SECOND)
