from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.media.timestamps import (
    TimestampError,
    WallClockAnchor,
    format_timestamp,
    order_span,
    parse_timestamp,
)

ANCHOR = WallClockAnchor(at=datetime(2026, 5, 1, 18, 0, tzinfo=UTC), media_time=100.0)
TIMES = st.floats(-100, 10_000)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (83.5, 83.5),
        (83, 83.0),
        ("83.5", 83.5),
        ("83.5s", 83.5),
        (" 83 s ", 83.0),
        ("01:23", 83.0),
        ("1:23.5", 83.5),
        ("75:30", 4530.0),
        ("00:01:23.500", 83.5),
        ("00:01:23,500", 83.5),
        ("12:00:00", 43200.0),
        (timedelta(minutes=1, seconds=23), 83.0),
    ],
)
def test_relative_times_count_from_the_start_of_the_analysed_piece(
    value: float | str | timedelta, seconds: float
) -> None:
    assert parse_timestamp(value) == seconds
    assert parse_timestamp(value, offset=1000.0) == 1000.0 + seconds


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-01T18:00:05.5Z",
        "2026-05-01T20:00:05.5+02:00",
        "2026-05-01 18:00:05.5",
        datetime(2026, 5, 1, 18, 0, 5, 500_000, tzinfo=UTC),
        datetime(2026, 5, 1, 20, 0, 5, 500_000, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_wall_clock_times_are_placed_by_the_anchor_whatever_the_offset(
    value: str | datetime,
) -> None:
    assert parse_timestamp(value, offset=999.0, anchor=ANCHOR) == 105.5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("soon", "'soon' is not a time: give seconds"),
        ("", "'' is not a time"),
        ("-5", "'-5' is not a time"),
        ("1:2:3:4", "is not a time: give seconds"),
        ("01:75", "its seconds are 60 or more"),
        ("1:75:00", "its minutes are 60 or more"),
        ("2026-13-01T00:00:00", "is not a time: give seconds"),
        ("2026-05-01T18:00:00Z", "has no wall clock"),
        (math.nan, "give a finite number of seconds"),
        (math.inf, "give a finite number of seconds"),
        (True, "True is not a time"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_forms_that_can(
    value: float | str, message: str
) -> None:
    with pytest.raises(TimestampError, match=message):
        parse_timestamp(value)


@given(st.integers(0, 359_999))
def test_what_is_shown_to_people_can_be_read_back(seconds: int) -> None:
    assert parse_timestamp(format_timestamp(seconds)) == seconds


@given(st.floats(0, 1e6))
def test_the_anchor_leads_to_the_wall_clock_and_back(seconds: float) -> None:
    assert ANCHOR.media_time_of(ANCHOR.wall_clock_of(seconds)) == pytest.approx(seconds, abs=1e-5)


@given(TIMES, TIMES, TIMES, st.floats(0, 500), st.floats(0, 5000))
def test_a_span_always_ends_up_in_order_and_within_what_was_analysed(
    start: float, peak: float, end: float, earliest: float, length: float
) -> None:
    latest = earliest + length
    span = order_span(start=start, peak=peak, end=end, earliest=earliest, latest=latest)
    assert earliest <= span.start <= span.peak <= span.end <= latest
    in_order = earliest <= start <= peak <= end <= latest
    assert (span.corrections == ()) == in_order


def test_each_correction_is_reported() -> None:
    span = order_span(start=20.0, peak=-1.0, end=12.0, earliest=5.0, latest=18.0)
    assert span[:3] == (12.0, 12.0, 18.0)
    assert span.corrections == (
        "start 20.000 s lies after the last instant analysed; moved to 18.000 s",
        "peak -1.000 s lies before the first instant analysed; moved to 5.000 s",
        "start 18.000 s lies after end 12.000 s; exchanged",
        "peak 5.000 s lies outside 12.000..18.000 s; moved to 12.000 s",
    )
