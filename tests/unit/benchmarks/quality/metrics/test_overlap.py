"""Overlap of intervals, and which found one is which true one."""

from __future__ import annotations

import pytest
from hypothesis import given

from benchmarks.quality.metrics import Interval, hits, pairs, temporal_iou
from tests.unit.benchmarks.quality.strategies import intervals, lists


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


def test_the_better_ranked_clip_takes_the_moment_that_two_would_hit() -> None:
    moment = Interval(start=0, end=10)
    close, far = Interval(start=0, end=10, score=0.2), Interval(start=3, end=10, score=0.9)
    assert pairs([close, far], [moment], 0.3) == [(far, moment), (close, None)]


def test_a_clip_hits_the_moment_that_it_overlaps_most() -> None:
    first, second = Interval(start=0, end=10), Interval(start=10, end=20)
    clip = Interval(start=8, end=20)
    assert pairs([clip], [first, second], 0.3) == [(clip, second)]


def test_an_overlap_just_at_the_threshold_is_a_hit() -> None:
    assert hits([Interval(start=0, end=3)], [Interval(start=0, end=10)], 0.3) == [True]
    assert hits([Interval(start=0, end=2.9)], [Interval(start=0, end=10)], 0.3) == [False]
