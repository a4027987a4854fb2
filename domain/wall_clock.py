"""Which wall clock time a point of the media timeline corresponds to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from domain.media import SegmentRef
from domain.model import Model


class ClockAnchor(Model):
    """A point known on both clocks: seconds of media time, and UTC (EXT-X-PROGRAM-DATE-TIME)."""

    at: float
    wall: datetime

    def wall_clock(self, at: float) -> datetime:
        """Return the wall clock (UTC) at `at` seconds of media time near the anchor."""
        return self.wall + timedelta(seconds=at - self.at)


def anchor_of(segments: Iterable[SegmentRef]) -> ClockAnchor | None:
    """Return the anchor of the first segment that tells its date; None when none does."""
    for segment in segments:
        if segment.program_date_time is not None:
            return ClockAnchor(at=segment.start, wall=segment.program_date_time)
    return None
