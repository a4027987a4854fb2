from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.highlights.selection.models import Tier
from domain.highlights.selection.timeline import OpenCandidate
from domain.highlights.similarity import choose_diverse
from domain.profiles.model import DiversityMethod
from tests.factories.selection import candidate

METHODS = st.sampled_from(DiversityMethod)
ITEMS = st.lists(
    st.tuples(st.floats(0.7, 1.0), st.sets(st.sampled_from("abcde"), max_size=3)), max_size=7
)


def group(rows: list[tuple[float, set[str]]]) -> tuple[list[OpenCandidate], list[float]]:
    ranked = sorted(rows, key=lambda row: -row[0])
    items = [
        OpenCandidate(candidate(n, n * 60.0, value, tags=tuple(sorted(tags))), value, Tier.STANDARD)
        for n, (value, tags) in enumerate(ranked)
    ]
    return items, [value for value, _ in ranked]


@given(ITEMS, METHODS, st.integers(0, 8))
def test_without_weight_variety_is_greedy_by_score(
    rows: list[tuple[float, set[str]]], method: DiversityMethod, places: int
) -> None:
    items, scores = group(rows)
    chosen = choose_diverse(items, scores, places=places, weight=0.0, method=method)
    assert chosen == list(range(min(places, len(items))))


@given(ITEMS.filter(bool), METHODS, st.integers(1, 4), st.floats(0, 1), st.floats(0, 1))
def test_an_item_whose_score_rises_keeps_its_place(
    rows: list[tuple[float, set[str]]],
    method: DiversityMethod,
    places: int,
    weight: float,
    raised: float,
) -> None:
    items, scores = group(rows)
    for winner in choose_diverse(items, scores, places=places, weight=weight, method=method):
        better = scores.copy()
        better[winner] += (1.0 - scores[winner]) * raised
        again = choose_diverse(items, better, places=places, weight=weight, method=method)
        assert winner in again


@given(ITEMS.filter(bool), st.integers(1, 4), st.floats(0, 1))
def test_coverage_reaches_its_guaranteed_share_of_the_optimum(
    rows: list[tuple[float, set[str]]], places: int, weight: float
) -> None:
    items, scores = group(rows)
    all_tags = set().union(*(item.tags for item in items))

    def value(chosen: tuple[int, ...]) -> float:
        shown = set().union(*(items[i].tags for i in chosen)) if chosen else set()
        variety = places * len(shown) / max(1, len(all_tags))
        return (1 - weight) * sum(scores[i] for i in chosen) + weight * variety

    reached = value(
        tuple(
            choose_diverse(
                items, scores, places=places, weight=weight, method=DiversityMethod.COVERAGE
            )
        )
    )
    size = min(places, len(items))
    best = max(value(chosen) for chosen in itertools.combinations(range(len(items)), size))
    assert reached >= (1 - 1 / 2.718281828) * best - 1e-9


@pytest.mark.parametrize("method", DiversityMethod)
def test_a_new_kind_is_preferred_to_more_of_the_same(method: DiversityMethod) -> None:
    items, scores = group([(0.9, {"goal"}), (0.89, {"goal"}), (0.85, {"save"})])
    assert choose_diverse(items, scores, places=2, weight=0.3, method=method) == [0, 2]
