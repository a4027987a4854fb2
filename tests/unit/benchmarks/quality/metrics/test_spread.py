"""The interval in which a mean over few videos lies."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.quality.metrics import bootstrap_interval

shares = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@settings(max_examples=20)
@given(shares)
def test_it_lies_within_what_was_seen_around_the_mean(values: list[float]) -> None:
    low, high = bootstrap_interval(values)
    mean = sum(values) / len(values)
    assert min(values) - 1e-9 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= max(values) + 1e-9


def test_of_one_value_it_is_that_value() -> None:
    assert bootstrap_interval([0.7]) == pytest.approx((0.7, 0.7))


def test_two_values_are_drawn_alike_often() -> None:
    # Of 2 draws of 0 or 1, each mean of 0 and 1 comes with probability 1/4, far above 2.5 %.
    assert bootstrap_interval([0.0, 1.0]) == (0.0, 1.0)


def test_it_is_the_same_every_time() -> None:
    values = [0.2, 0.5, 0.9, 1.0]
    assert bootstrap_interval(values) == bootstrap_interval(values)


def test_more_of_the_same_makes_it_narrower() -> None:
    few, many = bootstrap_interval([0.0, 1.0] * 3), bootstrap_interval([0.0, 1.0] * 30)
    assert many[1] - many[0] < few[1] - few[0]


def test_of_nothing_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval([])
