"""Which words a misspelt one is taken for."""

from __future__ import annotations

import pytest

from domain.highlights.search_query import nearest

WORDS = ("goal", "goals", "coal", "penalty", "penalties", "save", "sliced", "2026", "golazo")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gaol", ("goal",)),
        ("penlaty", ("penalty",)),
        ("penatly", ("penalty",)),
        ("penaltis", ("penalties", "penalty")),
        ("savee", ("save",)),
        ("golazzo", ("golazo",)),
    ],
)
def test_a_slip_is_taken_for_the_nearest_word(typed: str, meant: tuple[str, ...]) -> None:
    assert nearest(typed, WORDS) == meant


def test_the_nearest_comes_first_and_few_are_tried() -> None:
    found = nearest("goalz", (*WORDS, "goala", "goalx", "boalz"))
    assert len(found) == 3
    assert set(found) <= {"goal", "goals", "goala", "goalx", "boalz"}


@pytest.mark.parametrize("typed", ["gol", "2025", "xylophone", "player12"])
def test_short_words_numbers_and_strange_words_are_taken_for_nothing(typed: str) -> None:
    assert nearest(typed, (*WORDS, "gal", "player13")) == ()
