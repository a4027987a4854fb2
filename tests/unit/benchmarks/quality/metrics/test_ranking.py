"""Interpolated average precision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.metrics import average_precision

rankings = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=12)


def _area(told: list[tuple[float, bool]], missed: int) -> float:
    scores, right = [score for score, _ in told], [hit for _, hit in told]
    return average_precision(scores, right, sum(right) + missed)


def test_a_case_worked_by_hand() -> None:
    # Ranks 1 to 5: hit, miss, miss, hit, hit; four to be found. Precision where recall rises:
    # 1/1, 2/4, 3/5; interpolated from the right: 1, 0.6, 0.6. AP = (1 + 0.6 + 0.6) / 4.
    scores = [0.9, 0.8, 0.7, 0.6, 0.5]
    right = [True, False, False, True, True]
    assert average_precision(scores, right, 4) == pytest.approx(0.55)


def test_what_is_scored_alike_is_ranked_alike() -> None:
    # Both orders of the tie have precision 1/2 when its recall is reached.
    assert average_precision([0.5, 0.5], [True, False], 1) == pytest.approx(0.5)
    assert average_precision([0.5, 0.5], [False, True], 1) == pytest.approx(0.5)


def test_without_anything_to_find_there_is_no_precision() -> None:
    assert average_precision([0.3, 0.2], [False, False], 0) == 0


def test_more_hits_than_there_are_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="2 are right"):
        average_precision([0.3, 0.2], [True, True], 1)


@given(rankings, st.integers(0, 5))
def test_it_is_a_share(told: list[tuple[float, bool]], missed: int) -> None:
    assert 0 <= _area(told, missed) <= 1 + 1e-9


@given(rankings, st.integers(0, 5))
def test_nothing_is_better_than_ranking_all_hits_first(
    told: list[tuple[float, bool]], missed: int
) -> None:
    best = [(float(hit), hit) for _, hit in told]
    assert _area(told, missed) <= _area(best, missed) + 1e-9


@given(rankings, st.integers(0, 5), st.floats(0.1, 3))
def test_only_the_order_of_the_scores_matters(
    told: list[tuple[float, bool]], missed: int, factor: float
) -> None:
    ranks = sorted({score for score, _ in told})
    renamed = [(ranks.index(score) * factor, hit) for score, hit in told]
    assert _area(renamed, missed) == pytest.approx(_area(told, missed))


@given(rankings, st.integers(0, 5))
def test_a_false_one_below_all_others_changes_nothing(
    told: list[tuple[float, bool]], missed: int
) -> None:
    assert _area([*told, (-1.0, False)], missed) == pytest.approx(_area(told, missed))
