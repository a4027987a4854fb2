"""Polled answers of The Odds API become feed events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.feed.adapters.betfair import BetfairFeed
from domain.feed.adapters.odds_api import OddsApiFeed
from tests.unit.domain.feed.adapters.messages import json_messages, line

ANSWERS = json_messages("odds_api.jsonl")


def lines(answers: list[Any]) -> list[str]:
    feed = OddsApiFeed.of(None)
    readings = [feed.read(answer) for answer in answers]
    assert [reading.problems for reading in readings if reading.problems] == []
    return [line(event) for reading in readings for event in reading.events]


def answer(
    price: object, *, at: str = "2026-05-02T19:00:00Z", point: float | None = None
) -> object:
    outcome = {"name": "A", "price": price} | ({} if point is None else {"point": point})
    market = {"key": "h2h" if point is None else "spreads", "outcomes": [outcome]}
    bookmaker = {"key": "x", "last_update": at, "markets": [market]}
    return {"id": "m", "home_team": "B", "away_team": "A", "bookmakers": [bookmaker]}


def test_a_goal_in_odds_and_scores() -> None:
    found = lines(ANSWERS)
    assert found[0] == "suspended total_goals total=2.5"
    assert "odds match_result/home 2.45>1.32" in found
    assert found[-2:] == ["score 1-0", "period 1-0"]


def test_one_bookmaker_of_three_makes_no_event() -> None:
    first, later = ANSWERS[0][0], ANSWERS[2][0]
    moved = {**first, "bookmakers": [later["bookmakers"][0], *first["bookmakers"][1:]]}
    assert [each for each in lines([[first], [moved]]) if each.startswith("odds")] == []


def test_a_market_that_cannot_be_read_is_not_taken_for_suspended() -> None:
    feed = OddsApiFeed.of(None)
    feed.read(answer(2.0))
    reading = feed.read(answer(0, at="2026-05-02T19:00:05Z"))
    assert reading.events == ()
    assert len(reading.problems) == 1


def test_american_odds_are_converted() -> None:
    found = lines([answer(-200), answer(-600, at="2026-05-02T19:00:05Z")])
    assert found == ["odds match_result/away 1.50>1.17"]


def test_both_sides_of_a_handicap_are_one_market() -> None:
    found = lines([answer(2.4, point=1.5), answer(1.2, at="2026-05-02T19:00:05Z", point=1.5)])
    assert found == ["odds handicap hcp=-1.5/away 2.40>1.20"]


def test_a_match_that_has_not_begun_has_no_score() -> None:
    assert lines([{"id": "m", "scores": None, "completed": False, "last_update": None}]) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"message": "API key is missing"}, "the API refused the request: API key is missing"),
        ([{}], "[0].id: the id of the match is missing"),
        ("text", "match: an object is expected"),
        (answer(0), "match.bookmakers[0].markets[0].outcomes[0].price: decimal odds are above 1"),
        (answer(float("nan")), "outcomes[0].price: a finite number is expected"),
        (answer(2.0, at="yesterday"), "last_update: a time such as 2026-05-02T19:21:07Z"),
        (answer(2.0, at="2026-05-02T19:00:00"), "last_update: a time such as"),
    ],
)
def test_a_wrong_answer_names_what_is_wrong(body: object, problem: str) -> None:
    reading = OddsApiFeed.of(None).read(body)
    assert reading.events == ()
    assert problem in str(reading.problems[0])


_KEYS = st.sampled_from(
    (
        *("id", "op", "pt", "mc", "rc", "ltp", "marketDefinition", "runners", "status", "eventId"),
        *("bookmakers", "markets", "outcomes", "price", "point", "key", "scores", "last_update"),
    )
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["mcm", "OPEN", "2026-05-02T19:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(_VALUES)
def test_any_json_gets_events_or_problems(body: object) -> None:
    for feed in (OddsApiFeed.of(None), BetfairFeed.of(None)):
        reading = feed.read(body)
        assert len(reading.events) + len(reading.problems) < 1_000


def test_a_clock_that_runs_backwards_makes_no_move() -> None:
    assert lines([answer(3.0), answer(1.4, at="2026-05-02T18:59:00Z")]) == []


def test_prices_after_a_clock_that_ran_backwards_are_compared_with_the_latest() -> None:
    found = lines(
        [
            answer(3.0),
            answer(1.4, at="2026-05-02T18:59:00Z"),
            answer(3.0, at="2026-05-02T18:59:05Z"),
        ]
    )
    assert found == ["odds match_result/away 1.40>3.00"]
