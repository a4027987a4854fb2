"""A clip is right if it holds the instant that matters, and each instant counts once."""

from __future__ import annotations

import pytest

from benchmarks.quality.metrics import Interval, peak_average_precision, peak_recall


def clip(start: float, end: float, score: float) -> Interval:
    return Interval(start=start, end=end, score=score)


@pytest.mark.parametrize(
    ("clips", "recall"),
    [
        ([], 0.0),
        ([clip(8, 12, 0.9)], 0.5),
        ([clip(8, 12, 0.9), clip(9, 11, 0.8)], 0.5),
        ([clip(0, 100, 0.1)], 1.0),
        ([clip(11, 29, 0.9)], 0.0),
    ],
)
def test_recall_counts_the_peaks_that_lie_in_some_clip(
    clips: list[Interval], recall: float
) -> None:
    assert peak_recall(clips, [10, 30]) == recall


def test_without_peaks_recall_is_none() -> None:
    assert peak_recall([clip(0, 1, 1.0)], []) == 0.0


def test_the_best_clips_first_give_full_precision() -> None:
    clips = [clip(9, 11, 0.9), clip(29, 31, 0.8), clip(50, 60, 0.1)]
    assert peak_average_precision(clips, [10, 30]) == 1.0


def test_a_wrong_clip_before_the_right_ones_costs_precision() -> None:
    clips = [clip(50, 60, 0.9), clip(9, 11, 0.8), clip(29, 31, 0.7)]
    assert peak_average_precision(clips, [10, 30]) == pytest.approx(2 / 3)


def test_a_second_clip_of_the_same_peak_is_wrong() -> None:
    clips = [clip(8, 12, 0.9), clip(9, 13, 0.8), clip(29, 31, 0.7)]
    assert peak_average_precision(clips, [10, 30]) == pytest.approx((1 + 2 / 3) / 2)
