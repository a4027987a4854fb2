"""When segments appear and what the wall clock says about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.origin.broadcast import Broadcast, window_for
from demo.origin.faults import EncoderRestart, Faults, Regression
from demo.origin.playlist import Mark
from demo.origin.timestamps import TICKS_PER_SECOND, WRAP

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def broadcast(
    count: int,
    *,
    pace: float = 1.0,
    window: int | None = 5,
    faults: Faults | None = None,
    marks: tuple[Mark, ...] = (),
) -> Broadcast:
    result = Broadcast(
        pace=pace, window=window, segment_duration=2.0, faults=faults or Faults(), marks=marks
    )
    for index in range(count):
        at = T0 + timedelta(seconds=2.0 * (index + 1) / pace)
        result.publish(duration=2.0, first_timestamp=126_000, at=at)
    return result


def sequences(played: Broadcast) -> list[int]:
    return [segment.media_sequence for segment in played.listed()]


def test_five_segments_are_listed_at_real_time_and_ten_seconds_of_wall_clock_above() -> None:
    assert (window_for(0.5), window_for(1), window_for(4)) == (5, 5, 20)


def test_the_window_slides() -> None:
    assert sequences(broadcast(7)) == [2, 3, 4, 5, 6]


def test_segments_stay_available_for_a_window_after_they_left_the_playlist() -> None:
    assert broadcast(30).first_kept() == 20


def test_a_playlist_that_keeps_everything_forgets_nothing() -> None:
    played = broadcast(30, window=None)
    assert (len(played.listed()), played.first_kept()) == (30, 0)


def test_program_date_time_advances_by_the_media_over_the_pace() -> None:
    times = [s.program_date_time - T0 for s in broadcast(3, pace=4).segments]
    assert times == [timedelta(seconds=s) for s in (0, 0.5, 1.0)]


@given(pace=st.floats(0.5, 16), seconds=st.floats(0, 11.9))
def test_wall_clock_and_input_time_are_each_others_inverse(pace: float, seconds: float) -> None:
    played = broadcast(6, pace=pace)
    assert played.input_time(played.live_at(seconds)) == pytest.approx(seconds, abs=1e-4 * pace)


def test_a_late_segment_moves_the_clock_of_what_follows_only() -> None:
    played = broadcast(2)
    played.publish(duration=2.0, first_timestamp=None, at=T0 + timedelta(seconds=9))
    assert played.live_at(3.0) == T0 + timedelta(seconds=3)
    assert played.live_at(5.0) == T0 + timedelta(seconds=8)


def test_nothing_is_live_before_the_first_segment() -> None:
    with pytest.raises(LookupError):
        broadcast(0).live_at(0)


def test_a_discontinuity_is_counted_for_all_that_follows() -> None:
    played = broadcast(4, faults=Faults(discontinuities=(2,)))
    assert [s.discontinuity for s in played.segments] == [False, False, True, False]
    assert [s.discontinuity_sequence for s in played.segments] == [0, 0, 1, 1]


def test_a_discontinuity_makes_timestamps_jump() -> None:
    played = broadcast(4, faults=Faults(discontinuities=(2,)))
    assert [s.timestamp_shift != 0 for s in played.segments] == [False, False, True, True]


def test_a_restarted_encoder_begins_its_timestamps_anew() -> None:
    played = broadcast(4, faults=Faults(restart=EncoderRestart(at=2)))
    assert [s.timestamp_shift for s in played.segments][2:] == [-4 * TICKS_PER_SECOND] * 2
    assert sequences(played) == [0, 1, 2, 3]


def test_a_restarted_encoder_may_begin_its_media_sequence_anew() -> None:
    restart = EncoderRestart(at=2, reset_sequence=True)
    assert sequences(broadcast(4, faults=Faults(restart=restart))) == [0, 1]


def test_timestamps_wrap_in_the_middle_of_the_segment_asked_for() -> None:
    played = broadcast(4, faults=Faults(pts_wrap_in=2))
    first = 126_000 + played.segments[0].timestamp_shift
    assert first + 5 * TICKS_PER_SECOND == WRAP


def test_a_stale_playlist_shows_the_past_for_a_few_requests() -> None:
    played = broadcast(8, faults=Faults(regression=Regression(at=7, by=2, times=2)))
    assert [sequences(played)[-1] for _ in range(3)] == [5, 5, 7]


def test_a_lasting_regression_counts_on_from_lower_numbers() -> None:
    played = broadcast(8, faults=Faults(regression=Regression(at=6, by=3, lasting=True)))
    assert [s.media_sequence for s in played.segments] == [0, 1, 2, 3, 4, 5, 3, 4]


def test_timed_metadata_stands_at_its_own_wall_clock_while_it_is_in_the_window() -> None:
    played = broadcast(3, pace=2, marks=(Mark(at=3.0, payload="goal"), Mark(at=40.0, payload="x")))
    (mark,) = played.dated_marks(played.listed())
    assert (mark.payload, mark.starts) == ("goal", T0 + timedelta(seconds=1.5))
