"""Sportradar Unified Odds Feed: one XML message at a time (mapping: `docs/feeds.md`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import BaseModel

from domain.feed.adapters.fields import (
    FeedFormatError,
    decimal_odds,
    margin,
    market_key,
    number,
    refuse,
    wall_clock,
    whole_number,
)
from domain.feed.adapters.match import FeedReading, MatchFeed, Step, run_steps
from domain.feed.models import BetResult, FeedEvent

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # parsed by infra, which refuses entities


class _Market(NamedTuple):
    name: str
    selections: dict[str, str]


_SIDES: Final = {"4": "home", "5": "away"}
_MARKETS: Final = {
    "1": _Market("match_result", {"1": "home", "2": "draw", "3": "away"}),
    "8": _Market("next_goal", {"6": "home", "7": "none", "8": "away"}),
    "16": _Market("handicap", {"1714": "home", "1715": "away"}),
    "18": _Market("total_goals", {"12": "over", "13": "under"}),
    "29": _Market("both_to_score", {"74": "yes", "76": "no"}),
    "40": _Market("goalscorer", {}),
    "45": _Market("correct_score", {}),
    "186": _Market("match_winner", _SIDES),
    "202": _Market("set_winner", _SIDES),
    "219": _Market("match_winner", _SIDES),
}

_PERIODS: Final = {
    "0": "not started",
    "6": "1st half",
    "7": "2nd half",
    "8": "1st set",
    "9": "2nd set",
    "10": "3rd set",
    "11": "4th set",
    "12": "5th set",
    "13": "1st quarter",
    "14": "2nd quarter",
    "15": "3rd quarter",
    "16": "4th quarter",
    "31": "halftime",
    "32": "awaiting extra time",
    "41": "1st extra half",
    "42": "2nd extra half",
    "50": "penalties",
    "100": "ended",
}

_FIXTURE_CHANGES: Final = {
    "1": "fixture_added",
    "2": "fixture_rescheduled",
    "3": "fixture_cancelled",
    "4": "fixture_format_changed",
    "5": "fixture_coverage_changed",
}

_ACTIVE: Final = 1
_INACTIVE: Final = 0
_SUSPENDED: Final = -1
_STATUSES: Final = frozenset({_ACTIVE, _INACTIVE, _SUSPENDED, -2, -3, -4})
_IGNORED: Final = frozenset({"alive", "snapshot_complete", "product_down"})


class SportradarFeed(BaseModel):
    """Reader of a Unified Odds Feed for one match; `feed` remembers what it said."""

    feed: MatchFeed

    @classmethod
    def of(cls, match: str | None) -> SportradarFeed:
        """Return a reader for a match, such as `sr:match:1234`, or for the only one."""
        return cls(feed=MatchFeed.of("uof", match))

    def read(self, message: Element) -> FeedReading:
        """Return the events of a message."""
        return run_steps(self._steps(message))

    def _steps(self, message: Element) -> Iterator[Step]:
        kind = message.tag
        readers = {
            "odds_change": self._odds_change,
            "bet_stop": self._bet_stop,
            "bet_settlement": self._bet_settlement,
            "bet_cancel": self._bet_cancel,
            "rollback_bet_settlement": self._rollback,
            "rollback_bet_cancel": self._rollback,
            "fixture_change": self._fixture_change,
        }
        if kind in _IGNORED:
            return
        if kind not in readers:
            raise FeedFormatError(
                kind, f"unknown message; the feed has {', '.join(sorted(readers))}"
            )
        match = _required(message, "event_id", kind)
        at = whole_number(_required(message, "timestamp", kind), field=f"{kind}@timestamp")
        wall_clock(at)
        if self.feed.concerns(match, field=f"{kind}@event_id"):
            yield from readers[kind](message, at)

    def _odds_change(self, message: Element, at: int) -> Iterator[Step]:
        status = message.find("sport_event_status")
        if status is not None:
            yield partial(self._period, status, at)
            yield partial(self._score, status, at)
        markets = list(enumerate(message.iterfind("odds/market")))
        statuses = {index: market.get("status", "1") for index, market in markets}
        if str(_ACTIVE) in statuses.values():
            yield partial(self.feed.reopen, at=at)
        for index, market in markets:
            where = f"odds_change.odds.market[{index}]"
            yield partial(self._market_status, market, at, where)
            if statuses[index] == str(_ACTIVE):
                yield from self._prices(market, at, where)

    def _period(self, status: Element, at: int) -> Iterator[FeedEvent]:
        code = status.get("match_status")
        if code is not None:
            name = _PERIODS.get(code, f"match status {code}")
            yield from self.feed.period_began(name, at=at)

    def _score(self, status: Element, at: int) -> Iterator[FeedEvent]:
        where = "odds_change.sport_event_status"
        home, away = status.get("home_score"), status.get("away_score")
        if home is None or away is None:
            return
        clock = status.find("clock")
        yield from self.feed.scored(
            whole_number(home, field=f"{where}@home_score"),
            whole_number(away, field=f"{where}@away_score"),
            at=at,
            clock=None if clock is None else clock.get("match_time"),
        )

    def _market_status(self, market: Element, at: int, where: str) -> Iterator[FeedEvent]:
        status = whole_number(market.get("status", "1"), field=f"{where}@status")
        if status not in _STATUSES:
            raise FeedFormatError(f"{where}@status", f"unknown status of a market: {status}")
        if status in {_ACTIVE, _INACTIVE, _SUSPENDED}:
            yield from self.feed.market_status(
                _market(market, where), suspended=status != _ACTIVE, at=at
            )

    def _prices(self, market: Element, at: int, where: str) -> Iterator[Step]:
        prices: dict[str, float] = {}
        for index, outcome in enumerate(market.iterfind("outcome")):
            field = f"{where}.outcome[{index}]"
            if outcome.get("active", "1") == "1":
                try:
                    odds = decimal_odds(outcome.get("odds"), field=f"{field}@odds")
                    prices[_selection(market, outcome, field)] = odds
                except FeedFormatError as problem:
                    yield partial(refuse, problem)
        if not prices:
            return
        share = margin(prices.values())
        for selection, odds in prices.items():
            yield partial(
                self.feed.price, _market(market, where), selection, odds, at=at, margin=share
            )

    def _bet_stop(self, message: Element, at: int) -> Iterator[Step]:
        groups = message.get("groups", "all")
        if "all" in groups.split("|"):
            yield partial(self.feed.stop, at=at)
        else:
            # Which markets a group has is not said: each reopens with its own next odds.
            for group in groups.split("|"):
                yield partial(self.feed.group_stopped, market_key(f"group {group}"), at=at)

    def _bet_settlement(self, message: Element, at: int) -> Iterator[Step]:
        for index, market in enumerate(message.iterfind("outcomes/market")):
            where = f"bet_settlement.outcomes.market[{index}]"
            for number_of, outcome in enumerate(market.iterfind("outcome")):
                yield partial(self._settle, market, outcome, at, f"{where}.outcome[{number_of}]")

    def _settle(
        self, market: Element, outcome: Element, at: int, where: str
    ) -> Iterator[FeedEvent]:
        result = _result(outcome, where)
        if result is not None:
            yield from self.feed.settle(
                _market(market, where), _selection(market, outcome, where), result, at=at
            )

    def _bet_cancel(self, message: Element, at: int) -> Iterator[Step]:
        for index, market in enumerate(message.iterfind("market")):
            yield partial(self._cancel, market, at, f"bet_cancel.market[{index}]")

    def _cancel(self, market: Element, at: int, where: str) -> Iterator[FeedEvent]:
        yield from self.feed.settle(_market(market, where), None, BetResult.VOID, at=at)

    def _rollback(self, message: Element, at: int) -> Iterator[Step]:
        for index, market in enumerate(message.iterfind("market")):
            yield partial(self._roll_back, market, at, f"{message.tag}.market[{index}]")

    def _roll_back(self, market: Element, at: int, where: str) -> Iterator[FeedEvent]:
        yield from self.feed.roll_back(_market(market, where), at=at)

    def _fixture_change(self, message: Element, at: int) -> Iterator[Step]:
        code = message.get("change_type", "")
        yield partial(self.feed.remark, _FIXTURE_CHANGES.get(code, "fixture_changed"), at=at)


def _required(element: Element, name: str, where: str) -> str:
    value = element.get(name)
    if not value:
        raise FeedFormatError(f"{where}@{name}", "the attribute is missing")
    return value


def _market(market: Element, where: str) -> str:
    code = _required(market, "id", where)
    known = _MARKETS.get(code)
    name = f"uof:{code}" if known is None else known.name
    specifiers = market.get("specifiers", "")
    return market_key(f"{name} {specifiers}" if specifiers else name)


def _selection(market: Element, outcome: Element, where: str) -> str:
    code = _required(outcome, "id", where)
    known = _MARKETS.get(market.get("id", ""))
    return market_key(code if known is None else known.selections.get(code, code))


def _result(outcome: Element, where: str) -> BetResult | None:
    """Return how a selection ended, None while it is undecided.

    A half void counts as the result of the other half.
    """
    code = _required(outcome, "result", where)
    void = number(outcome.get("void_factor", "0"), field=f"{where}@void_factor")
    if void == 1.0:
        return BetResult.VOID
    if code == "-1":
        return None
    if code not in {"0", "1"}:
        raise FeedFormatError(f"{where}@result", f"-1, 0 or 1 is expected, not {code!r}")
    return BetResult.WON if code == "1" else BetResult.LOST
