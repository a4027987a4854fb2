"""Requests may take as long as the stream's own durations allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ingest.retries import LONGEST_IDLE, LONGEST_REQUEST, playlist_timing, segment_timing

seconds = st.floats(0.0, 3600.0)


@pytest.mark.parametrize(
    ("duration", "takes"), [(10.0, 9.0), (10.0, 14.0), (6.0, 8.9), (30.0, 29.0)]
)
def test_a_segment_may_take_as_long_as_it_lasts_before_its_first_byte(
    duration: float, takes: float
) -> None:
    timing = segment_timing(
        duration, target_duration=duration, window=6 * duration, request_timeout=8.0
    )
    assert timing.idle > takes
    assert timing.total > 2 * takes


def test_short_segments_keep_the_configured_timeout() -> None:
    timing = segment_timing(2.0, target_duration=2.0, window=12.0, request_timeout=8.0)
    assert (timing.idle, timing.total) == (8.0, 12.0)


def test_a_missing_segment_is_asked_for_during_a_target_duration() -> None:
    timing = segment_timing(9.0, target_duration=10.0, window=60.0, request_timeout=8.0)
    assert timing.missing_patience == 10.0
    assert timing.error_patience == 60.0


def test_a_playlist_that_lists_its_segments_for_good_is_not_waited_for() -> None:
    timing = segment_timing(10.0, target_duration=10.0, window=0.0, request_timeout=8.0)
    assert timing.missing_patience == timing.error_patience == 0.0
    assert timing.total == 60.0


@given(duration=seconds, target=seconds, window=seconds)
def test_timeouts_are_bounded_whatever_a_playlist_says(
    duration: float, target: float, window: float
) -> None:
    for timing in (
        segment_timing(duration, target_duration=target, window=window, request_timeout=8.0),
        playlist_timing(target, request_timeout=8.0),
    ):
        assert 8.0 <= timing.idle <= LONGEST_IDLE
        assert timing.idle <= timing.total <= LONGEST_REQUEST


def test_an_unknown_playlist_has_the_configured_timeout() -> None:
    assert playlist_timing(None, request_timeout=8.0).idle == 8.0
