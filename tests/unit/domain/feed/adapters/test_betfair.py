"""Messages of the Exchange Stream become feed events."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from domain.feed.adapters.betfair import BetfairFeed
from tests.unit.domain.feed.adapters.messages import json_messages, line

MESSAGES = json_messages("betfair.jsonl")


def lines(messages: list[Any], match: str | None = None) -> list[str]:
    feed = BetfairFeed.of(match)
    readings = [feed.read(message) for message in messages]
    assert [reading.problems for reading in readings if reading.problems] == []
    return [line(event) for reading in readings for event in reading.events]


def test_a_match_from_image_to_result_and_correction() -> None:
    assert lines(MESSAGES) == [
        "period",
        "suspended match_result",
        "reopened match_result",
        "odds match_result/Home Town 2.40>1.25",
        "settled match_result/Home Town won",
        "settled match_result/Away City lost",
        "suspended match_result",
        "settled match_result/Home Town retracts betfair:" + digest(),
    ]


def digest() -> str:
    feed = BetfairFeed.of(None)
    events = [event for message in MESSAGES for event in feed.read(message).events]
    return next(e.id for e in events if e.selection == "Home Town" and e.result).split(":", 1)[1]


def test_the_first_image_makes_no_event() -> None:
    assert lines(MESSAGES[:2]) == []


def test_an_image_after_a_reconnection_is_no_move_of_odds() -> None:
    image = copy.deepcopy(MESSAGES[1])
    image["pt"] += 1_000
    image["mc"][0]["rc"] = [{"id": 47972, "ltp": 1.1}]
    assert lines([*MESSAGES[:2], image]) == []


def test_prices_need_the_definition_of_their_market() -> None:
    message = {"op": "mcm", "pt": 1_777_748_400_000, "mc": [{"id": "1.9", "rc": []}]}
    [problem] = BetfairFeed.of(None).read(message).problems
    assert str(problem) == "mc[0].id: market 1.9 has no definition before its first prices"


def test_a_market_of_another_match_is_left_out() -> None:
    assert lines(MESSAGES, match="44000") == []


@pytest.mark.parametrize(
    ("kind", "market"),
    [
        ("OVER_UNDER_25", "total_goals total=2.5"),
        ("OVER_UNDER_²", "over_under_²"),
        ("NEXT_GOAL", "next_goal"),
        ("HALF_TIME", "half_time"),
        (None, "betfair:1.2001"),
    ],
)
def test_types_of_markets_have_names(kind: str | None, market: str) -> None:
    messages = copy.deepcopy([MESSAGES[1], MESSAGES[4]])
    for message in messages:
        message["mc"][0]["marketDefinition"]["marketType"] = kind
    assert lines(messages) == ["period", f"suspended {market}"]


@pytest.mark.parametrize("odds", [0, -3, 1.0, 10**9, "x", True, float("nan")])
def test_a_wrong_price_names_its_field(odds: object) -> None:
    feed = BetfairFeed.of(None)
    feed.read(MESSAGES[1])
    message = {
        "op": "mcm",
        "pt": MESSAGES[1]["pt"] + 1,
        "mc": [{"id": "1.2001", "rc": [{"id": 47972, "ltp": odds}]}],
    }
    assert [problem.field for problem in feed.read(message).problems] == ["mc[0].rc[0].ltp"]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ([], "message: an object is expected"),
        ({"op": "bet"}, "op: `mcm` is expected"),
        ({"op": "mcm"}, "pt: a number is expected, not nothing"),
        ({"op": "mcm", "pt": 1, "mc": {}}, "mc: a list is expected"),
        ({"op": "mcm", "pt": 1, "mc": [{}]}, "mc[0].id: the id of the market is missing"),
        (
            {"op": "status", "statusCode": "FAILURE", "errorCode": "NO_SESSION"},
            "the stream failed: NO_SESSION",
        ),
    ],
)
def test_a_wrong_message_names_what_is_wrong(message: object, problem: str) -> None:
    reading = BetfairFeed.of(None).read(message)
    assert problem in str(reading.problems[0])


def test_a_clock_that_runs_backwards_makes_no_move() -> None:
    earlier = copy.deepcopy(MESSAGES[5])
    earlier["pt"] = MESSAGES[1]["pt"] - 60_000
    assert "odds match_result/Home Town 2.40>1.25" not in lines([*MESSAGES[:5], earlier])


def test_prices_after_a_clock_that_ran_backwards_are_compared_with_the_latest() -> None:
    earlier, later = copy.deepcopy(MESSAGES[5]), copy.deepcopy(MESSAGES[5])
    earlier["pt"] = MESSAGES[1]["pt"] - 60_000
    later["pt"] = earlier["pt"] + 3_000
    later["mc"][0]["rc"] = [{"id": 47972, "ltp": 2.6}]
    found = lines([*MESSAGES[:5], earlier, later])
    assert [each for each in found if each.startswith("odds")] == [
        "odds match_result/Home Town 1.25>2.60"
    ]
