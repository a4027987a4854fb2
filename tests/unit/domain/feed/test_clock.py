"""The feed clock: the offset that events and the picture agree on."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.feed.clock import ClockSource, FeedClock, MeasuredMoment, estimate_clock

EVENTS = 5
JUNK = 0.2


def match(seed: int) -> tuple[float, list[float], list[MeasuredMoment]]:
    """Hidden delay, reported times and measured moments of a scripted match."""
    random = Random(seed)
    delay = random.uniform(-8.0, 15.0)
    goals = [60.0 + 180.0 * number + random.uniform(0.0, 120.0) for number in range(EVENTS)]
    reported = [goal + delay + random.gauss(0.0, 0.5) for goal in goals]
    junk = [random.uniform(0.0, 1200.0) for _ in range(round(EVENTS * JUNK))]
    other = [MeasuredMoment(random.uniform(0.0, 1200.0)) for _ in range(6)]
    shown = [MeasuredMoment(goal, 2.0) for goal in goals]
    return delay, sorted(reported + junk), shown + other


def test_the_hidden_delay_is_found_within_a_second_after_five_events_with_junk() -> None:
    errors = []
    for seed in range(400):
        delay, reported, measured = match(seed)
        clock = estimate_clock(reported, measured)
        if clock.is_known:
            errors.append(abs(clock.offset + delay))
    assert len(errors) >= 390
    assert sorted(errors)[int(0.95 * len(errors))] <= 1.0
    taken_at_face_value = sorted(abs(match(seed)[0]) for seed in range(400))
    assert taken_at_face_value[380] > 10.0


def test_the_stated_error_bounds_most_errors() -> None:
    within = total = 0
    for seed in range(400):
        delay, reported, measured = match(seed)
        clock = estimate_clock(reported, measured)
        total += clock.is_known
        within += clock.is_known and abs(clock.offset + delay) <= clock.error
    assert within >= 0.9 * total


def test_two_pairs_leave_the_clock_unknown() -> None:
    measured = [MeasuredMoment(at) for at in (100.0, 400.0)]
    clock = estimate_clock([95.0, 395.0], measured)
    assert (clock.source, clock.pairs) == (ClockSource.UNKNOWN, 2)


def test_events_without_any_measured_moment_leave_the_clock_unknown() -> None:
    assert estimate_clock([10.0, 20.0, 30.0], []) == FeedClock()


def test_two_offsets_that_are_equally_good_leave_the_clock_unknown() -> None:
    reported = [100.0, 300.0, 500.0]
    measured = [MeasuredMoment(at + shift) for at in reported for shift in (-6.0, 6.0)]
    assert not estimate_clock(reported, measured).is_known


@given(
    shift=st.floats(-10.0, 10.0),
    goals=st.lists(st.integers(0, 60), min_size=4, max_size=8, unique=True),
)
def test_a_later_feed_has_an_offset_earlier_by_as_much(shift: float, goals: list[int]) -> None:
    times = sorted(100.0 * goal for goal in goals)
    clock = estimate_clock([at + shift for at in times], [MeasuredMoment(at) for at in times])
    assert clock.is_known
    assert abs(clock.offset + shift) < 0.01


def test_changes_of_score_count_before_peaks() -> None:
    reported = [100.0, 300.0, 500.0]
    peaks = [MeasuredMoment(at + 6.0) for at in reported]
    shown = [MeasuredMoment(at - 4.0, 2.0) for at in reported]
    assert estimate_clock(reported, peaks + shown).offset == -4.0


def reacting(seed: int) -> tuple[float, list[float], list[MeasuredMoment]]:
    """A match whose peaks follow what happens, one in five of them two seconds later still."""
    random = Random(seed)
    delay = random.uniform(-8.0, 15.0)
    goals = [60.0 + 60.0 * number + random.uniform(0.0, 30.0) for number in range(8)]
    reported = [goal + delay + random.gauss(0.0, 0.5) for goal in goals]
    reactions = [
        random.uniform(0.4, 1.1) + (2.0 if number % 5 == 0 else 0.0) for number in range(len(goals))
    ]
    peaks = [
        MeasuredMoment.of(goal + reaction, score_changed=False)
        for goal, reaction in zip(goals, reactions, strict=True)
    ]
    return delay, reported, peaks


def test_the_time_that_a_crowd_takes_to_react_is_no_part_of_the_offset() -> None:
    errors = []
    for seed in range(200):
        delay, reported, measured = reacting(seed)
        errors.append(abs(estimate_clock(reported, measured).offset + delay))
    assert sorted(errors)[int(0.95 * len(errors))] <= 1.0
    assert sorted(errors)[len(errors) // 2] <= 0.3


def test_the_stated_error_bounds_the_offset_of_crowds_that_react_late() -> None:
    within = 0
    for seed in range(200):
        delay, reported, measured = reacting(seed)
        clock = estimate_clock(reported, measured)
        within += abs(clock.offset + delay) <= clock.error
    assert within >= 0.95 * 200


def test_one_pair_far_off_hardly_moves_the_offset() -> None:
    reported = [100.0, 200.0, 300.0, 400.0, 500.0]
    measured = [MeasuredMoment(at - 4.0) for at in reported[:4]] + [MeasuredMoment(498.5)]
    assert abs(estimate_clock(reported, measured).offset + 4.0) < 0.2
