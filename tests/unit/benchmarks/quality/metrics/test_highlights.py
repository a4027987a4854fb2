"""HD mAP and HIT@1 over clips of two seconds, as QVHighlights defines them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.metrics import (
    Interval,
    hit_at_1,
    mean_average_precision,
    relevance_of,
    saliency_of,
)
from tests.unit.benchmarks.quality.strategies import lists

saliencies = st.lists(st.floats(0, 1), min_size=1, max_size=10)


def test_hd_map_of_a_case_worked_by_hand() -> None:
    saliency = [0.1, 0.9, 0.5, 0.7]  # ranked: clips 1, 3, 2, 0
    first = (False, True, True, False)  # hits at ranks 1 and 3: (1 + 2/3) / 2
    second = (False, False, False, True)  # a hit at rank 2: 1/2
    nobody = (False, False, False, False)  # 0, as in the official evaluation
    assert mean_average_precision(saliency, (first, second, nobody)) == pytest.approx(
        ((1 + 2 / 3) / 2 + 1 / 2 + 0) / 3
    )


def test_hit_at_1_asks_whether_any_annotator_likes_the_most_salient_clip() -> None:
    saliency = [0.1, 0.9, 0.5]
    assert hit_at_1(saliency, ((True, False, True), (False, True, False))) == 1
    assert hit_at_1(saliency, ((True, False, True), (True, False, False))) == 0


def test_hit_at_1_of_equally_salient_clips_is_that_of_a_fair_draw() -> None:
    assert hit_at_1([0.5, 0.5, 0.5, 0.5], ((True, False, False, False),)) == 0.25


def test_clips_that_the_ranking_does_not_reach_come_last() -> None:
    assert mean_average_precision([0.4], ((True, False, False),)) == 1
    assert mean_average_precision([0.4], ((False, True, False),)) == pytest.approx(1 / 3)


def test_clips_beyond_the_annotation_are_left_out() -> None:
    assert hit_at_1([0.1, 0.2, 0.9], ((False, True),)) == 1


@given(saliencies)
def test_the_truth_itself_ranks_perfectly(saliency: list[float]) -> None:
    good = tuple(value >= max(saliency) / 2 for value in saliency)
    assert mean_average_precision([float(is_good) for is_good in good], (good,)) == 1
    assert hit_at_1([float(is_good) for is_good in good], (good,)) == 1


@given(saliencies, st.data())
def test_a_ranking_that_says_nothing_has_the_share_of_highlights(
    saliency: list[float], data: st.DataObject
) -> None:
    good = tuple(data.draw(st.booleans()) for _ in saliency)
    same = [0.5] * len(good)
    share = sum(good) / len(good)
    assert mean_average_precision(same, (good,)) == pytest.approx(share)
    assert hit_at_1(same, (good,)) == pytest.approx(share)


def test_a_clip_is_a_highlight_when_half_of_it_lies_in_a_moment() -> None:
    (clips,) = relevance_of([Interval(start=3, end=6.9)], 10.0)
    assert clips == (False, True, True, False, False)


def test_saliency_is_the_best_score_by_the_share_of_the_clip_that_it_covers() -> None:
    found = [Interval(start=1, end=4, score=0.8), Interval(start=0, end=2, score=0.3)]
    assert saliency_of(found, 6.0) == pytest.approx((0.4, 0.8, 0.0))


@given(lists, st.floats(4, 900))
def test_a_video_has_as_many_saliencies_as_clips(found: list[Interval], duration: float) -> None:
    assert len(saliency_of(found, duration)) == len(relevance_of(found, duration)[0])
