"""The measure itself is right: overlap, hits, average precision, and the baselines' peaks."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.baselines import Video, best_loudness, spaced_peaks
from benchmarks.quality.metrics import (
    Interval,
    average_precision,
    evaluate,
    f1,
    hits,
    mean,
    temporal_iou,
)
from benchmarks.quality.signals import GRID, Signals

intervals = st.builds(
    lambda start, length, score: Interval(start=start, end=start + length, score=score),
    st.floats(0, 1000),
    st.floats(1, 60),
    st.floats(-5, 5),
)
lists = st.lists(intervals, max_size=8)


@given(intervals, intervals)
def test_iou_is_symmetric_within_bounds_and_whole_only_for_itself(
    one: Interval, other: Interval
) -> None:
    assert temporal_iou(one, other) == pytest.approx(temporal_iou(other, one))
    assert 0 <= temporal_iou(one, other) <= 1
    assert temporal_iou(one, one) == pytest.approx(1)


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(5, 15, 1 / 3), (10, 20, 0), (2, 7, 0.5), (30, 40, 0)]
)
def test_iou_is_shared_over_united_length(start: float, end: float, expected: float) -> None:
    one, other = Interval(start=0, end=10), Interval(start=start, end=end)
    assert temporal_iou(one, other) == pytest.approx(expected)


@given(lists, lists)
def test_a_true_moment_is_hit_at_most_once(found: list[Interval], true: list[Interval]) -> None:
    told = hits(found, true, 0.3)
    assert len(told) == len(found)
    assert sum(told) <= len(true)


@given(lists, lists)
def test_every_figure_is_a_share(found: list[Interval], true: list[Interval]) -> None:
    quality = evaluate(found, true)
    shares = quality.model_dump(exclude={"found", "true"}).values()
    assert all(0 <= share <= 1 + 1e-9 for share in shares)
    assert quality.f1_strict <= quality.f1 + 1e-9


@given(st.lists(intervals, min_size=1, max_size=8))
def test_finding_what_is_true_is_perfect(true: list[Interval]) -> None:
    quality = evaluate(true, true)
    assert quality.recall == quality.precision == quality.hit_at_1 == 1
    assert quality.mean_iou == pytest.approx(1)
    assert quality.average_precision == pytest.approx(1)


def test_finding_nothing_scores_nothing() -> None:
    quality = evaluate([], [Interval(start=0, end=10)])
    assert (quality.precision, quality.recall, quality.f1, quality.hit_at_1) == (0, 0, 0, 0)


def test_a_second_clip_of_a_moment_counts_against_precision() -> None:
    moment = Interval(start=0, end=10)
    quality = evaluate([moment, Interval(start=1, end=11)], [moment])
    assert quality.precision == 0.5
    assert quality.recall == 1


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 5))
def test_average_precision_gains_from_ranking_hits_first(told: list[bool], missed: int) -> None:
    true = sum(told) + missed
    best = average_precision(sorted(told, reverse=True), true)
    assert average_precision(told, true) <= best + 1e-9


def test_average_precision_is_the_mean_of_the_precisions_at_each_hit() -> None:
    assert average_precision([True, False, True], 4) == pytest.approx((1 + 2 / 3) / 4)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    assert f1([True, True, False], 4) == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5))


def test_the_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean([])


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=200),
    st.integers(0, 6),
    st.floats(0.5, 20),
)
def test_peaks_keep_their_spacing_and_start_with_the_highest(
    values: list[float], count: int, spacing: float
) -> None:
    curve = np.array(values)
    peaks = spaced_peaks(curve, count, spacing)
    assert len(peaks) <= count
    assert all(abs(a - b) >= spacing for (a, _), (b, _) in combinations(peaks, 2))
    if count:
        assert peaks[0][1] == curve.max()


def test_the_loudness_baseline_finds_moments_that_are_simply_the_loudest() -> None:
    level = np.full(int(300 / GRID), -30.0)
    true = (Interval(start=50, end=60), Interval(start=200, end=210))
    for moment in true:
        level[int(moment.start / GRID) : int(moment.end / GRID)] = -10.0
    video = Video(300.0, Signals(level, np.zeros_like(level)), true)
    (found,) = best_loudness([video], [2])
    assert evaluate(found, true).f1 == 1
