"""Expected calibration error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.metrics import calibration

predictions = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def test_a_case_worked_by_hand() -> None:
    # Bin 0.9-1: said 0.95 on average, half came true: 0.45 off, 2 of 4.
    # Bin 0.2-0.3: said 0.25, none came true: 0.25 off, 2 of 4.
    told = calibration([0.92, 0.98, 0.24, 0.26], [True, False, False, False])
    assert told.ece == pytest.approx(0.5 * 0.45 + 0.5 * 0.25)
    assert [(each.count, each.right) for each in told.bins] == [(2, 0.0), (2, 0.5)]


def test_certainty_that_comes_true_is_perfect() -> None:
    assert calibration([1.0, 0.0, 1.0], [True, False, True]).ece == 0


def test_certainty_that_never_comes_true_is_as_bad_as_can_be() -> None:
    assert calibration([1.0, 0.0], [False, True]).ece == 1


def test_a_bin_is_judged_by_its_average() -> None:
    assert calibration([0.5] * 4, [True, False, True, False]).ece == pytest.approx(0)


@given(predictions)
def test_it_is_a_share_and_every_prediction_is_in_one_bin(told: list[tuple[float, bool]]) -> None:
    said, right = zip(*told, strict=True)
    result = calibration(said, right)
    assert 0 <= result.ece <= 1 + 1e-9
    assert sum(each.count for each in result.bins) == result.count == len(told)


@given(predictions)
def test_it_is_at_least_how_far_the_mean_is_off(told: list[tuple[float, bool]]) -> None:
    said, right = zip(*told, strict=True)
    off = abs(sum(said) / len(said) - sum(right) / len(right))
    assert calibration(said, right).ece >= off - 1e-9


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration([1.2], [True])


def test_of_no_predictions_nothing_is_wrong() -> None:
    assert calibration([], []).ece == 0
