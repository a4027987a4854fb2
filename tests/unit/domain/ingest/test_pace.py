"""Polling follows the stream's own pace."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ingest.playlist import FASTEST, PlaylistPace, observe_interval, poll_delay

seconds = st.floats(0.01, 30.0)


def test_an_unknown_pace_is_asked_for_often_at_first() -> None:
    assert poll_delay(None, target_duration=2.0, listed=5, idle=0.0) == 0.2


def test_a_playlist_of_long_segments_is_asked_for_rarely_before_its_pace_is_known() -> None:
    requests, idle = 0, 0.0
    while idle < 10.0:
        requests += 1
        idle += poll_delay(None, target_duration=10.0, listed=5, idle=idle)
    assert requests <= 7


@pytest.mark.parametrize(("interval", "expected"), [(2.0, 1.9), (0.25, 0.2375), (0.01, FASTEST)])
def test_the_next_request_comes_shortly_before_the_next_segment(
    interval: float, expected: float
) -> None:
    delay = poll_delay(interval, target_duration=2.0, listed=5, idle=0.0)
    assert delay == pytest.approx(expected)


def test_a_segment_that_is_late_is_asked_for_at_short_distances() -> None:
    assert poll_delay(2.0, target_duration=2.0, listed=5, idle=1.95) == 0.25


def test_a_playlist_that_lists_two_segments_is_asked_for_twice_an_interval() -> None:
    assert poll_delay(2.0, target_duration=2.0, listed=2, idle=0.0) == 1.0


def test_after_a_change_found_late_the_next_request_comes_earlier() -> None:
    delay = poll_delay(2.0, target_duration=2.0, listed=5, idle=0.0, uncertainty=1.0)
    assert delay == 1.5


def test_a_steady_playlist_is_asked_for_less_than_twice_a_segment_and_found_soon() -> None:
    requests, late = _followed([2.0 * number for number in range(200)])
    assert requests / 200 < 1.6
    assert sum(late) / 200 < 0.2


def test_a_request_that_was_late_does_not_make_later_ones_late() -> None:
    _, late = _followed([2.0 * number for number in range(200)], delayed={50: 1.5})
    assert max(late[45:50]) < 0.5
    assert max(late[60:]) < 0.5


def test_segments_with_jitter_are_found_within_an_interval() -> None:
    chance = random.Random(7)
    requests, late = _followed([2.0 * number + chance.uniform(-0.4, 0.4) for number in range(200)])
    assert requests / 200 < 2.0
    assert max(late[10:]) < 2.0


def _followed(
    publications: list[float], *, delayed: Mapping[int, float] | None = None
) -> tuple[int, list[float]]:
    """Return how many requests following took, and how late each segment was found.

    `delayed` delays the request after a segment of this number by so many seconds.
    """
    now, requests = 0.3, 0
    pace = PlaylistPace(None, now=now)
    late: list[float] = []
    while len(late) < len(publications):
        began = now
        requests += 1
        now += 0.01
        new = [began - each for each in publications[len(late) :] if each <= began]
        late += new
        pace.note_read(now=now)
        if new:
            pace.note_new(len(new), now=now)
        pace.note_requested(at=began)
        now += pace.delay(target_duration=2.0, listed=5, now=now)
        if new:
            now += (delayed or {}).get(len(late), 0.0)
    return requests, late


def test_a_stalled_stream_is_asked_for_less_but_never_so_rarely_that_segments_are_missed() -> None:
    delay = poll_delay(0.1, target_duration=2.0, listed=5, idle=60.0)
    assert delay == pytest.approx(0.1 * 5 / 4)


@given(
    interval=st.one_of(st.none(), seconds),
    target=seconds,
    listed=st.integers(1, 9000),
    idle=st.floats(0, 1e5),
)
def test_delays_stay_between_the_fastest_and_the_target_duration(
    interval: float | None, target: float, listed: int, idle: float
) -> None:
    delay = poll_delay(interval, target_duration=target, listed=listed, idle=idle)
    assert min(FASTEST, target / 2) <= delay <= max(FASTEST, target)


@given(interval=seconds, target=seconds, listed=st.integers(3, 9000), share=st.floats(1, 1e4))
def test_a_playlist_that_has_not_changed_is_left_alone_for_half_the_target_duration_at_most(
    interval: float, target: float, listed: int, share: float
) -> None:
    delay = poll_delay(interval, target_duration=target, listed=listed, idle=share * interval)
    assert delay <= max(FASTEST, target / 2)


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
