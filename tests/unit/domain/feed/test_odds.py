"""Odds as evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.feed.models import OddsMove
from domain.feed.odds import (
    implied_probability,
    importance_of_move,
    margin_of,
    size_of_move,
    words_of_move,
)

ODDS = st.floats(1.01, 500.0)


def move(before: float, after: float, *, margin: float = 0.0) -> OddsMove:
    return OddsMove(before=before, after=after, margin=margin)


def test_the_bookmakers_margin_is_removed() -> None:
    market = (1.90, 1.90)
    assert margin_of(market) == pytest.approx(0.0526, abs=1e-4)
    fair = implied_probability(1.90, margin=margin_of(market))
    assert fair == pytest.approx(0.5)


def test_a_drift_of_the_market_is_junk() -> None:
    assert importance_of_move(move(2.40, 2.10)) == 0.0


def test_odds_that_halve_count_but_less_than_an_official_event() -> None:
    assert 0.2 < importance_of_move(move(2.40, 1.25)) < 0.8


@given(before=ODDS, after=ODDS)
def test_a_move_and_its_reverse_count_the_same(before: float, after: float) -> None:
    there, back = move(before, after), move(after, before)
    assert size_of_move(there) == pytest.approx(-size_of_move(back))
    assert importance_of_move(there) == importance_of_move(back)


@given(before=ODDS, after=ODDS, further=st.floats(1.0, 2.0))
def test_a_larger_move_never_counts_less(before: float, after: float, further: float) -> None:
    beyond = after * further if after > before else max(1.001, after / further)
    assert importance_of_move(move(before, beyond)) >= importance_of_move(move(before, after))


def test_a_move_is_named_with_its_market_and_duration() -> None:
    told = OddsMove(before=2.40, after=1.25, seconds=3.0)
    assert words_of_move(told, market="next goal") == "next goal: 2.40 → 1.25 in 3 s"
