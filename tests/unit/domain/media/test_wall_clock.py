"""Media time to wall clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.media.segments import SegmentRef
from domain.media.timestamps import anchor_of

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def segment(start: float, wall: datetime | None) -> SegmentRef:
    return SegmentRef(
        media_sequence=1,
        start=start,
        duration=2.0,
        first_timestamp=0.0,
        key="a",
        size=1,
        program_date_time=wall,
        published_at=NOON,
    )


def test_the_first_segment_that_tells_its_date_anchors_the_clock() -> None:
    anchor = anchor_of([segment(10, None), segment(12, NOON)])
    assert anchor is not None
    assert anchor.wall_clock(9.5) == NOON - timedelta(seconds=2.5)


def test_without_dates_there_is_no_anchor() -> None:
    assert anchor_of([segment(10, None)]) is None
