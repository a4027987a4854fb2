"""Errors of a clip's bounds, and percentiles that never say better than was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.metrics import Interval, boundary_errors, nearest_rank
from tests.unit.benchmarks.quality.strategies import intervals

seconds = st.lists(st.floats(0, 1e4), min_size=1, max_size=60)


def _shifted(starts: list[float]) -> tuple[list[Interval], list[Interval]]:
    """Return clips that begin so many seconds late and end twice as late, and their moments."""
    true = [Interval(start=100.0 * n, end=100.0 * n + 20) for n in range(len(starts))]
    found = [
        Interval(start=moment.start + late, end=moment.end + 2 * late)
        for moment, late in zip(true, starts, strict=True)
    ]
    return found, true


def test_a_case_worked_by_hand() -> None:
    told = boundary_errors([_shifted([0.0, 1.0, 2.0, 3.0, 4.0])])
    assert told.count == 5
    assert (told.start_median, told.start_p90) == pytest.approx((2.0, 4.0))
    assert (told.end_median, told.end_p90) == pytest.approx((4.0, 8.0))


def test_early_and_late_are_errors_alike() -> None:
    told = boundary_errors([_shifted([-2.0, 2.0])])
    assert told.start_median == told.start_p90 == pytest.approx(2.0)


def test_videos_are_taken_together() -> None:
    told = boundary_errors([_shifted([1.0]), _shifted([3.0, 3.0])])
    assert told.count == 3
    assert told.start_median == pytest.approx(3.0)


def test_clips_that_hit_nothing_say_nothing() -> None:
    told = boundary_errors([([Interval(start=0, end=10)], [Interval(start=50, end=60)])])
    assert told.count == 0
    assert told.start_median is None


@given(st.lists(intervals, min_size=1, max_size=8))
def test_what_is_true_has_no_error(true: list[Interval]) -> None:
    told = boundary_errors([(true, true)])
    # Starts too small for a float's precision are the same time.
    assert (told.start_p90, told.end_p90) == pytest.approx((0, 0), abs=1e-9)


@given(seconds, st.floats(0.01, 1))
def test_at_least_its_share_does_not_exceed_a_percentile(values: list[float], share: float) -> None:
    told = nearest_rank(values, share)
    assert told in values
    assert sum(value <= told for value in values) >= share * len(values) - 1e-9


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        nearest_rank([], 0.5)
