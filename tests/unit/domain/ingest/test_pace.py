"""Polling follows the stream's own pace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ingest.playlist import FASTEST, observe_interval, poll_delay

seconds = st.floats(0.01, 30.0)


def test_an_unknown_pace_is_asked_for_often_at_first() -> None:
    assert poll_delay(None, target_duration=2.0, listed=5, idle=0.0) == 0.2


def test_a_playlist_of_long_segments_is_asked_for_rarely_before_its_pace_is_known() -> None:
    requests, idle = 0, 0.0
    while idle < 10.0:
        requests += 1
        idle += poll_delay(None, target_duration=10.0, listed=5, idle=idle)
    assert requests <= 7


@pytest.mark.parametrize(("interval", "expected"), [(2.0, 1.0), (0.25, 0.125), (0.01, FASTEST)])
def test_a_known_pace_is_asked_for_twice_an_interval(interval: float, expected: float) -> None:
    assert poll_delay(interval, target_duration=2.0, listed=5, idle=0.0) == expected


def test_a_stalled_stream_is_asked_for_less_but_never_so_rarely_that_segments_are_missed() -> None:
    delay = poll_delay(0.1, target_duration=2.0, listed=5, idle=60.0)
    assert delay == pytest.approx(0.1 * 5 / 4)


@given(
    interval=st.one_of(st.none(), seconds),
    target=seconds,
    listed=st.integers(1, 9000),
    idle=st.floats(0, 1e5),
)
def test_delays_stay_between_the_fastest_and_half_the_target_duration(
    interval: float | None, target: float, listed: int, idle: float
) -> None:
    delay = poll_delay(interval, target_duration=target, listed=listed, idle=idle)
    assert min(FASTEST, target / 2) <= delay <= max(FASTEST, target / 2)


def test_a_faster_pace_is_believed_at_once() -> None:
    assert observe_interval(2.0, elapsed=0.5, segments=2) == 0.25


def test_a_slower_pace_is_believed_gradually() -> None:
    interval = 0.25
    for _ in range(60):
        interval = observe_interval(interval, elapsed=2.0, segments=1)
    assert interval == pytest.approx(2.0, rel=0.05)


def test_a_stall_does_not_pass_for_a_pace() -> None:
    assert observe_interval(0.25, elapsed=120.0, segments=1) < 0.35


def test_the_first_observation_is_taken_as_it_is() -> None:
    assert observe_interval(None, elapsed=4.0, segments=2) == 2.0
