"""Where an instant of the wall clock lies in a recording."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from domain.playlist import ListedSegment

TOLERANCE: Final = 0.5
"""Seconds by which an instant may miss the nearest segment: dates are written to a millisecond, but
packagers correct their clocks."""


class RecordingClock:
    """The program date times of a recording's segments.

    Between two dates the rate is measured, not taken to be 1: recordings are also made of streams
    that were played faster than they happened. Where the recording paused, nothing is found.
    """

    def __init__(self, segments: Sequence[ListedSegment]) -> None:
        position = 0.0
        placed: list[tuple[datetime, float, float]] = []
        for segment in segments:
            if segment.program_date_time is not None:
                placed.append((segment.program_date_time, position, segment.duration))
            position += segment.duration
        self._placed = sorted(placed)
        self._dates = [date for date, _, _ in self._placed]

    @property
    def known(self) -> bool:
        """Whether the recording tells any date."""
        return bool(self._placed)

    def position_of(self, wall: datetime) -> float | None:
        """Return the seconds of the recording at which `wall` happened; None if it is not in it."""
        place = bisect_right(self._dates, wall) - 1
        near = [self._within(each, wall) for each in (place, place + 1)]
        found = [each for each in near if each is not None and each[0] <= TOLERANCE]
        return min(found)[1] if found else None

    def _within(self, place: int, wall: datetime) -> tuple[float, float] | None:
        """Return by how many seconds `wall` misses a segment, and the position nearest to it."""
        if not 0 <= place < len(self._placed):
            return None
        date, position, duration = self._placed[place]
        lasted = self._lasted(place)
        elapsed = (wall - date) / timedelta(seconds=1)
        missed = max(-elapsed, elapsed - lasted, 0.0)
        share = min(1.0, max(0.0, elapsed / lasted)) if lasted > 0 else 0.0
        return missed, position + share * duration

    def _lasted(self, place: int) -> float:
        """Return the seconds of wall clock that a segment took: until the next, if it followed."""
        date, position, duration = self._placed[place]
        if place + 1 < len(self._placed):
            following, next_position, _ = self._placed[place + 1]
            until_next = (following - date) / timedelta(seconds=1)
            if next_position > position and until_next < duration:
                return until_next
        return duration
