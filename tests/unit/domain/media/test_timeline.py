"""The media timeline is continuous, monotonic and true to the container's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.media.timeline import (
    TIMESTAMP_PERIOD,
    Placement,
    TimelinePoint,
    lost_duration,
    place,
    skip,
    unwrap,
)

durations = st.floats(min_value=0.2, max_value=12.0)
timestamps = st.floats(min_value=-60.0, max_value=TIMESTAMP_PERIOD)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def wrapped(timestamp: float) -> float:
    return timestamp % TIMESTAMP_PERIOD


def place_all(first: float, lengths: list[float]) -> list[Placement]:
    """Place a continuous stream whose container clock starts at `first` and may wrap."""
    point, clock, placements = TimelinePoint(), first, []
    for length in lengths:
        placement, point = place(
            point,
            timestamp=wrapped(clock),
            listed_duration=length,
            measured_duration=length,
        )
        placements.append(placement)
        clock += length
    return placements


@given(first=timestamps, lengths=st.lists(durations, min_size=1, max_size=40))
def test_a_continuous_stream_is_continuous_wherever_its_clock_starts_and_wraps(
    first: float, lengths: list[float]
) -> None:
    position = 0.0
    for placement, length in zip(place_all(first, lengths), lengths, strict=True):
        assert placement.start == pytest.approx(position, abs=1e-5)
        assert placement.duration == pytest.approx(length, abs=1e-5)
        assert placement.discontinuity == 0
        position += length


@given(lengths=st.lists(durations, min_size=2, max_size=40), error=st.floats(0.98, 1.02))
def test_wrong_listed_durations_do_not_add_up_to_drift(lengths: list[float], error: float) -> None:
    point, clock = TimelinePoint(), 0.0
    for length in lengths:
        placement, point = place(
            point, timestamp=clock, listed_duration=length * error, measured_duration=None
        )
        assert abs(placement.start - clock) <= 12.0 * 0.02 + 1e-6
        clock += length


@given(
    events=st.lists(
        st.one_of(
            st.tuples(
                st.just("segment"),
                st.floats(-1e6, 1e6),
                st.floats(0.0, 3600.0),
                st.one_of(st.none(), st.floats(-1.0, 1e5)),
                st.booleans(),
            ),
            st.tuples(st.just("gap"), st.floats(0.0, 1e4)),
        ),
        max_size=40,
    )
)
def test_whatever_comes_the_timeline_neither_overlaps_nor_goes_back(
    events: list[tuple[object, ...]],
) -> None:
    point, end, gap = TimelinePoint(), 0.0, 0.0
    for event in events:
        if event[0] == "gap":
            gap = float(event[1])  # type: ignore[arg-type]
            point = skip(point, gap)
            end = point.position - gap
            continue
        _, timestamp, listed, measured, declared = event
        placement, point = place(
            point,
            timestamp=timestamp,  # type: ignore[arg-type]
            listed_duration=listed,  # type: ignore[arg-type]
            measured_duration=measured,  # type: ignore[arg-type]
            declared_discontinuity=bool(declared),
            lost=gap,
        )
        assert placement.start >= end - 1e-6
        assert placement.duration > 0
        assert point.position == pytest.approx(placement.end)
        end, gap = placement.end, 0.0


@given(
    first=timestamps,
    length=durations,
    lost=st.integers(1, 30),
    error=st.floats(0.7, 1.3),
)
def test_after_a_gap_of_estimated_length_the_containers_clock_says_how_long_it_was(
    first: float, length: float, lost: int, error: float
) -> None:
    _, point = place(
        TimelinePoint(), timestamp=wrapped(first), listed_duration=length, measured_duration=length
    )
    estimate = lost * length * error
    placement, _ = place(
        skip(point, estimate),
        timestamp=wrapped(first + length * (1 + lost)),
        listed_duration=length,
        measured_duration=length,
        lost=estimate,
    )
    assert placement.start == pytest.approx(length * (1 + lost), abs=1e-4)
    assert placement.discontinuity == 0


@given(jump=st.one_of(st.floats(-40_000, -20), st.floats(40, 40_000)), declared=st.booleans())
def test_a_new_clock_starts_where_the_old_one_stopped(jump: float, declared: bool) -> None:
    _, point = place(
        TimelinePoint(), timestamp=50_000.0, listed_duration=2.0, measured_duration=2.0
    )
    placement, following = place(
        point,
        timestamp=50_002.0 + jump,
        listed_duration=2.0,
        measured_duration=2.0,
        declared_discontinuity=declared,
    )
    assert placement.start == 2.0
    assert placement.discontinuity == 1
    assert placement.first_timestamp == 50_002.0 + jump
    assert following.position == 4.0


def test_a_declared_discontinuity_counts_even_when_the_clock_goes_on() -> None:
    _, point = place(TimelinePoint(), timestamp=0.0, listed_duration=2.0, measured_duration=2.0)
    placement, _ = place(
        point,
        timestamp=2.0,
        listed_duration=2.0,
        measured_duration=2.0,
        declared_discontinuity=True,
    )
    assert (placement.start, placement.discontinuity) == (2.0, 1)


def test_a_segment_that_starts_early_keeps_each_frame_at_its_true_time() -> None:
    _, point = place(TimelinePoint(), timestamp=10.0, listed_duration=2.0, measured_duration=2.0)
    placement, following = place(point, timestamp=11.9, listed_duration=2.0, measured_duration=2.0)
    assert placement.start == 2.0
    frame = 12.5
    assert placement.start + (frame - placement.first_timestamp) == pytest.approx(2.5)
    assert following.position == pytest.approx(3.9)


def test_a_dropped_second_stays_a_second_of_the_timeline() -> None:
    _, point = place(TimelinePoint(), timestamp=0.0, listed_duration=2.0, measured_duration=2.0)
    placement, _ = place(point, timestamp=3.0, listed_duration=2.0, measured_duration=2.0)
    assert placement.start == 3.0


@pytest.mark.parametrize(
    ("measured", "expected"), [(1.9, 1.9), (None, 2.0), (0.04, 2.0), (600.0, 2.0), (-1.0, 2.0)]
)
def test_the_listed_duration_checks_the_measured_one(
    measured: float | None, expected: float
) -> None:
    placement, _ = place(
        TimelinePoint(), timestamp=0.0, listed_duration=2.0, measured_duration=measured
    )
    assert placement.duration == pytest.approx(expected)


@given(true=st.floats(-1e5, 1e6), error=st.floats(-40_000, 40_000))
def test_unwrapping_finds_the_value_nearest_to_what_is_expected(true: float, error: float) -> None:
    assert unwrap(wrapped(true), near=true + error) == pytest.approx(true, abs=1e-4)


def test_a_loss_is_as_long_as_the_segments_listed_and_a_typical_one_for_the_others() -> None:
    assert lost_duration(
        listed=[2.0, 1.5], unlisted=2, typical=2.0, last_end=None, next_start=None
    ) == pytest.approx(7.5)


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        (9.0, 9.0),  # more was lost than the playlist's numbers say
        (5.5, 5.5),
        (0.75, 6.0),  # played eight times as fast as it happened
        (-3.0, 6.0),  # a clock that was set back
        (30 * 3600.0, 6.0),  # a clock that was set
    ],
)
def test_the_wall_clock_of_both_sides_decides_unless_it_is_absurd(
    elapsed: float, expected: float
) -> None:
    assert lost_duration(
        listed=[],
        unlisted=3,
        typical=2.0,
        last_end=NOON,
        next_start=NOON + timedelta(seconds=elapsed),
    ) == pytest.approx(expected)


@pytest.mark.parametrize("listed", [0.0, 0.001, 0.5, 1.0, 3.0, 6.0, 3600.0])
@pytest.mark.parametrize("form", ["run on", "wrap", "packed"])
def test_where_timestamps_run_on_a_wrong_extinf_counts_for_nothing(
    listed: float, form: str
) -> None:
    point, clock = TimelinePoint(), TIMESTAMP_PERIOD - 5.0 if form == "wrap" else 7.0
    for number in range(10):
        placement, point = place(
            point,
            timestamp=0.0 if form == "packed" else wrapped(clock),
            listed_duration=listed,
            measured_duration=2.002,
            timed=form != "packed",
        )
        assert placement.start == pytest.approx(number * 2.002, abs=1e-4)
        assert placement.duration == pytest.approx(2.002, abs=1e-4)
        assert placement.discontinuity == 0
        clock += 2.002


def test_hours_of_rounded_extinf_do_not_drift_from_the_media() -> None:
    point = TimelinePoint()
    for number in range(7200):
        _, point = place(
            point,
            timestamp=number * 2.002,
            listed_duration=2.0,
            measured_duration=1.98 if number % 3 else 2.02,
        )
    assert point.position == pytest.approx(7200 * 2.002, abs=0.1)


@pytest.mark.parametrize("have", [0.04, 0.3, 1.0, 1.9])
def test_segments_cut_short_do_not_move_those_after_them(have: float) -> None:
    point = TimelinePoint()
    for number in range(20):
        placement, point = place(
            point,
            timestamp=100.0 + 2.0 * number,
            listed_duration=2.0,
            measured_duration=have if number % 2 else 2.0,
        )
        assert placement.start == pytest.approx(2.0 * number)


@pytest.mark.parametrize("listed", [0.0, 2.0, 6.0])
@pytest.mark.parametrize("missing", [1, 3, 10])
def test_a_gap_is_as_long_as_the_timestamps_around_it_say(listed: float, missing: int) -> None:
    _, point = place(TimelinePoint(), timestamp=50.0, listed_duration=listed, measured_duration=2.0)
    lost = listed * missing
    placement, _ = place(
        skip(point, lost),
        timestamp=52.0 + 2.0 * missing,
        listed_duration=listed,
        measured_duration=2.0,
        lost=lost,
    )
    if listed or missing == 1:
        assert placement.start == pytest.approx(2.0 + 2.0 * missing)
        assert placement.discontinuity == 0
    else:  # nothing but a jump of the clock tells of it
        assert placement.discontinuity == 1


def test_an_encoder_that_starts_anew_at_zero_after_a_gap_is_a_new_clock() -> None:
    _, point = place(TimelinePoint(), timestamp=0.0, listed_duration=2.0, measured_duration=2.0)
    placement, _ = place(
        skip(point, 60.0), timestamp=0.0, listed_duration=2.0, measured_duration=2.0, lost=60.0
    )
    assert (placement.start, placement.discontinuity) == (62.0, 1)


def test_packed_audio_without_a_clock_between_segments_with_one_has_a_clock_of_its_own() -> None:
    _, point = place(TimelinePoint(), timestamp=9.0, listed_duration=2.0, measured_duration=2.0)
    packed, point = place(
        point, timestamp=0.0, listed_duration=2.0, measured_duration=1.9, timed=False
    )
    back, _ = place(point, timestamp=12.9, listed_duration=2.0, measured_duration=2.0)
    assert (packed.start, packed.discontinuity) == (2.0, 1)
    assert back.start == pytest.approx(3.9)
    assert back.discontinuity == 1
