"""Messages of the Unified Odds Feed become feed events."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element, fromstring

import pytest

from domain.feed.adapters.match import FeedReading
from domain.feed.adapters.sportradar import SportradarFeed
from domain.feed.models import FeedEvent
from tests.unit.domain.feed.adapters.messages import line, xml_messages

START = 1_777_748_400_000


def xml(text: str) -> Element:
    return fromstring(text)  # noqa: S314


def change(inner: str, *, at: int = START, match: str = "sr:match:1") -> Element:
    return xml(f'<odds_change event_id="{match}" timestamp="{at}">{inner}</odds_change>')


def prices(home: str, away: str) -> str:
    return (
        '<odds><market id="186" status="1">'
        f'<outcome id="4" odds="{home}"/><outcome id="5" odds="{away}"/></market></odds>'
    )


def score(home: int, away: int) -> str:
    return f'<sport_event_status match_status="6" home_score="{home}" away_score="{away}"/>'


def read_all(feed: SportradarFeed, *messages: Element) -> list[FeedEvent]:
    return [event for message in messages for event in read(feed, message).events]


def read(feed: SportradarFeed, message: Element) -> FeedReading:
    return feed.read(message)


def test_a_goal_with_its_odds_settlement_and_rollback() -> None:
    feed = SportradarFeed.of(None)
    lines = [line(e) for e in read_all(feed, *xml_messages("sportradar.xml"))]
    goal = "uof:sr:match:58001:score:1-0:1777748407400"
    assert lines[:4] == [
        "suspended",
        "score 1-0",
        "reopened",
        "odds match_result/home 2.40>1.35",
    ]
    assert "odds match_result/away 3.00>9.50" in lines
    assert [each for each in lines if each.startswith("settled")][:3] == [
        "settled next_goal goalnr=1/home won",
        "settled next_goal goalnr=1/none lost",
        "settled next_goal goalnr=1/away void",
    ]
    rolled_back = [each for each in lines if "retracts uof:" in each and "settled " in each]
    assert len(rolled_back) == 3
    assert f"score 0-0 retracts {goal}" in lines
    assert lines[-2:] == ["period 0-0", "custom fixture_cancelled"]


def test_an_event_has_the_time_of_its_message() -> None:
    feed = SportradarFeed.of(None)
    [event] = read_all(feed, change(score(0, 0)), change(score(0, 1), at=START + 2_500))
    assert event.at.wall_clock == datetime(2026, 5, 2, 19, 0, 2, 500_000, tzinfo=UTC)


def test_a_settlement_after_a_rollback_is_another_event() -> None:
    events = read_all(SportradarFeed.of(None), *xml_messages("sportradar.xml"))
    home = [e for e in events if e.result is not None and e.selection == "home"]
    assert len({e.id for e in home}) == len(home) == 2
    assert home[0].id in {e.retracts for e in events}


def settlement(result: int, at: int) -> Element:
    return xml(
        f'<bet_settlement event_id="m" timestamp="{at}"><outcomes><market id="186">'
        f'<outcome id="4" result="{result}"/></market></outcomes></bet_settlement>'
    )


def test_a_confirmed_settlement_makes_no_second_event() -> None:
    feed = SportradarFeed.of(None)
    events = read_all(feed, settlement(1, START), settlement(1, START + 9_000))
    assert [line(e) for e in events] == ["settled match_winner/home won"]


def test_a_corrected_settlement_takes_the_first_back() -> None:
    events = read_all(SportradarFeed.of(None), settlement(1, START), settlement(0, START + 1))
    assert [line(e) for e in events] == [
        "settled match_winner/home won",
        f"settled match_winner/home retracts {events[0].id}",
        "settled match_winner/home lost",
    ]


def test_a_cancelled_market_is_void_until_the_cancellation_is_taken_back() -> None:
    feed = SportradarFeed.of(None)
    cancel, undo = (
        xml(f'<{name} event_id="m" timestamp="{START}"><market id="186"/></{name}>')
        for name in ("bet_cancel", "rollback_bet_cancel")
    )
    events = read_all(feed, cancel, undo)
    assert [line(e) for e in events] == [
        "settled match_winner void",
        f"settled match_winner retracts {events[0].id}",
    ]


def test_small_moves_of_odds_make_no_event_and_add_up() -> None:
    feed = SportradarFeed.of(None)
    steps = ["2.40", "2.20", "2.00", "1.85", "1.70", "1.60"]
    messages = [change(prices(odds, "2.00"), at=START + 500 * i) for i, odds in enumerate(steps)]
    events = [e for e in read_all(feed, *messages) if e.selection == "home"]
    assert len(events) == 1
    assert events[0].odds is not None
    assert events[0].odds.before == 2.40


def test_a_slow_drift_makes_no_event() -> None:
    feed = SportradarFeed.of(None)
    steps = ["2.40", "2.25", "2.10", "1.95", "1.80", "1.65", "1.50"]
    messages = [change(prices(odds, "2.00"), at=START + 20_000 * i) for i, odds in enumerate(steps)]
    assert read_all(feed, *messages) == []


def test_the_margin_of_the_market_goes_with_a_move() -> None:
    feed = SportradarFeed.of(None)
    events = read_all(
        feed, change(prices("1.90", "1.90")), change(prices("1.20", "4.00"), at=START + 1)
    )
    assert events[0].odds is not None
    assert events[0].odds.margin == pytest.approx(1 / 1.2 + 1 / 4 - 1)


def test_a_market_that_is_suspended_alone_is_named() -> None:
    market = '<odds><market id="18" specifiers="total=2.5" status="{}"/></odds>'
    feed = SportradarFeed.of(None)
    events = read_all(
        feed,
        *(change(market.format(code), at=START + i) for i, code in enumerate((1, -1, -1, 1))),
    )
    assert [line(e) for e in events] == [
        "suspended total_goals total=2.5",
        "reopened total_goals total=2.5",
    ]


def test_a_stop_of_some_markets_names_their_group() -> None:
    stop = xml(f'<bet_stop event_id="m" timestamp="{START}" groups="corners|cards"/>')
    events = read_all(SportradarFeed.of(None), stop)
    assert [line(e) for e in events] == ["suspended group corners", "suspended group cards"]


def test_the_same_message_again_makes_the_same_ids() -> None:
    first = read_all(SportradarFeed.of(None), *xml_messages("sportradar.xml"))
    again = read_all(SportradarFeed.of(None), *xml_messages("sportradar.xml"))
    assert [e.id for e in first] == [e.id for e in again]
    assert len({e.id for e in first}) == len(first)


def test_a_reader_continues_from_its_stored_memory() -> None:
    messages = xml_messages("sportradar.xml")
    straight = read_all(SportradarFeed.of(None), *messages)
    feed = SportradarFeed.of(None)
    events: list[FeedEvent] = []
    for message in messages:
        events += feed.read(message).events
        feed = SportradarFeed.model_validate_json(feed.model_dump_json())
    assert events == straight


def test_one_match_of_many_is_chosen() -> None:
    feed = SportradarFeed.of("sr:match:2")
    other = change(score(0, 0)), change(score(1, 0), at=START + 1)
    own = (change(score(0, 0), match="sr:match:2"), change(score(0, 1), match="sr:match:2"))
    assert [line(e) for e in read_all(feed, *other, *own)] == ["score 0-1"]


def test_two_matches_without_a_choice_are_a_problem() -> None:
    feed = SportradarFeed.of(None)
    feed.read(change(score(0, 0)))
    reading = feed.read(change(score(0, 0), match="sr:match:2"))
    assert "choose one of them with --match" in str(reading.problems[0])


@pytest.mark.parametrize("odds", ["0", "-2.5", "nan", "inf", "1e9", "1.0", "", "evens"])
def test_odds_that_cannot_be_name_their_field_and_cost_no_other(odds: str) -> None:
    feed = SportradarFeed.of(None)
    feed.read(change(prices("2.00", "2.00")))
    reading = feed.read(change(prices(odds, "6.00"), at=START + 1))
    assert [problem.field for problem in reading.problems] == [
        "odds_change.odds.market[0].outcome[0]@odds"
    ]
    assert [line(e) for e in reading.events] == ["odds match_winner/away 2.00>6.00"]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("<nonsense/>", "unknown message"),
        ('<bet_stop timestamp="1"/>', "bet_stop@event_id: the attribute is missing"),
        ('<bet_stop event_id="m" timestamp="soon"/>', "bet_stop@timestamp: a number is expected"),
        ('<bet_stop event_id="m" timestamp="9e30"/>', "milliseconds since 1970"),
        (
            (
                '<bet_settlement event_id="m" timestamp="1"><outcomes><market id="1">'
                '<outcome id="1" result="7"/></market></outcomes></bet_settlement>'
            ),
            "bet_settlement.outcomes.market[0].outcome[0]@result",
        ),
        (
            (
                '<odds_change event_id="m" timestamp="1"><odds><market status="1" id="1"/>'
                '<market status="5" id="2"/></odds></odds_change>'
            ),
            "odds.market[1]@status: unknown status",
        ),
    ],
)
def test_a_wrong_message_names_what_is_wrong(message: str, problem: str) -> None:
    reading = SportradarFeed.of(None).read(xml(message))
    assert reading.events == ()
    assert problem in str(reading.problems[0])


def test_a_clock_that_runs_backwards_makes_no_move() -> None:
    feed = SportradarFeed.of(None)
    messages = (change(prices("3.00", "1.40")), change(prices("1.40", "3.00"), at=START - 60_000))
    assert read_all(feed, *messages) == []
