"""Where an instant of the wall clock lies in a recording."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.streams.backfill.planning import RecordingClock
from tests.factories.backfill import NOON, recording, seconds


def test_an_instant_is_found_within_its_segment() -> None:
    clock = RecordingClock(recording(5).segments)
    assert clock.position_of(NOON + seconds(5.0)) == pytest.approx(5.0)


def test_a_stream_played_faster_than_it_happened_is_measured() -> None:
    clock = RecordingClock(recording(8, pace=8.0).segments)
    assert clock.position_of(NOON + seconds(1.0)) == pytest.approx(8.0)


def test_nothing_is_found_where_the_recording_paused() -> None:
    clock = RecordingClock(recording(10, pause=(5, 60.0)).segments)
    assert clock.position_of(NOON + seconds(30.0)) is None
    assert clock.position_of(NOON + seconds(71.0)) == pytest.approx(11.0)


@pytest.mark.parametrize(("at", "found"), [(-0.4, 0.0), (-0.6, None), (10.4, 10.0), (10.6, None)])
def test_an_instant_just_outside_belongs_to_the_nearest_segment(
    at: float, found: float | None
) -> None:
    assert RecordingClock(recording(5).segments).position_of(NOON + seconds(at)) == found


def test_a_recording_without_dates_has_no_clock() -> None:
    clock = RecordingClock(recording(5, dated=False).segments)
    assert not clock.known
    assert clock.position_of(NOON) is None


# The last segment has no date after it to tell its pace by, so it is taken for real time.
@given(st.floats(0, 97.9), st.floats(1.0, 8.0))
def test_positions_follow_the_wall_clock_at_any_pace_from_real_time_on(
    at: float, pace: float
) -> None:
    clock = RecordingClock(recording(50, pace=pace).segments)
    position = clock.position_of(NOON + seconds(at / pace))
    assert position == pytest.approx(at, abs=0.01)
