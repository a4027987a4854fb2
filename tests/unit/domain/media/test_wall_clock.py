"""Media time to wall clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.media.timestamps import anchor_of
from tests.factories.clips import segment

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def test_the_first_dated_segment_anchors_the_clock() -> None:
    anchor = anchor_of([segment(1, 10), segment(1, 12, program_date_time=NOON)])
    assert anchor is not None
    assert anchor.wall_clock(9.5) == NOON - timedelta(seconds=2.5)


def test_without_dates_there_is_no_anchor() -> None:
    assert anchor_of([segment(1, 10)]) is None
