"""Percentiles of latency never say better than what was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.latency import figures_of

seconds = st.lists(st.floats(0.0, 1e4), min_size=1, max_size=60)


def test_of_twenty_clips_the_95th_percentile_is_the_second_slowest() -> None:
    figures = figures_of([float(n) for n in range(20, 0, -1)])
    assert (figures.p50, figures.p95, figures.max) == (10.0, 19.0, 20.0)


@given(seconds)
def test_at_least_95_in_a_hundred_are_as_fast_as_their_percentile(values: list[float]) -> None:
    p95 = figures_of(values).p95
    assert p95 in values
    assert sum(value <= p95 for value in values) >= 0.95 * len(values)


def test_without_a_clip_there_is_nothing_to_say() -> None:
    with pytest.raises(SystemExit, match="No clip"):
        figures_of([])
