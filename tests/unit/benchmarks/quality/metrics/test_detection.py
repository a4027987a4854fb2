"""Precision, recall, F1, average precision and mean IoU of the clips of a video."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.metrics import Interval, detect, f1
from tests.unit.benchmarks.quality.strategies import intervals, lists


@given(lists, lists)
def test_every_figure_is_a_share(found: list[Interval], true: list[Interval]) -> None:
    shares = detect(found, true).model_dump(exclude={"found", "true"}).values()
    assert all(0 <= share <= 1 + 1e-9 for share in shares)


@given(lists, lists)
def test_a_stricter_overlap_never_gives_more(found: list[Interval], true: list[Interval]) -> None:
    told = detect(found, true)
    assert told.ap_70 <= told.ap_50 + 1e-9


@given(st.lists(intervals, min_size=1, max_size=8))
def test_finding_what_is_true_is_perfect(true: list[Interval]) -> None:
    told = detect(true, true)
    assert told.recall == told.precision == told.f1 == 1
    assert told.mean_iou == told.ap_50 == told.ap_70 == pytest.approx(1)


@given(lists, lists)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(
    found: list[Interval], true: list[Interval]
) -> None:
    told = detect(found, true)
    both = told.precision + told.recall
    assert told.f1 == pytest.approx(2 * told.precision * told.recall / both if both else 0.0)


def test_a_case_worked_by_hand() -> None:
    true = [Interval(start=0, end=10), Interval(start=50, end=60), Interval(start=90, end=100)]
    found = [
        Interval(start=0, end=8, score=0.9),  # IoU 0.8 with the first
        Interval(start=54, end=64, score=0.8),  # 6/14 = 0.43 with the second
        Interval(start=20, end=30, score=0.7),  # nothing
    ]
    told = detect(found, true)
    assert (told.found, told.true) == (3, 3)
    assert told.precision == told.recall == told.f1 == pytest.approx(2 / 3)
    assert told.ap_50 == told.ap_70 == pytest.approx(1 / 3)
    assert told.mean_iou == pytest.approx((0.8 + 6 / 14 + 0) / 3)


def test_finding_nothing_scores_nothing() -> None:
    told = detect([], [Interval(start=0, end=10)])
    assert (told.precision, told.recall, told.f1, told.ap_50) == (0, 0, 0, 0)


def test_where_there_is_nothing_finding_nothing_is_right() -> None:
    told = detect([], [])
    assert (told.precision, told.recall, told.f1) == (1, 1, 1)


def test_a_second_clip_of_a_moment_counts_against_precision() -> None:
    moment = Interval(start=0, end=10)
    told = detect([moment, Interval(start=1, end=11)], [moment])
    assert told.precision == 0.5
    assert told.recall == 1


def test_f1_counts_what_is_missed_and_what_is_false_alike() -> None:
    found = [Interval(start=0, end=10), Interval(start=20, end=30)]
    true = [Interval(start=0, end=10), Interval(start=40, end=50), Interval(start=60, end=70)]
    assert f1(found, true) == pytest.approx(2 * 1 / (2 + 3))
