"""Betfair Exchange Stream: one JSON message of the market stream at a time.

Mapping: `docs/feeds.md`. Historic files have the same messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from pydantic import BaseModel, Field

from domain.feed.adapters.fields import (
    FeedFormatError,
    decimal_odds,
    items,
    mapping,
    market_key,
    number,
    wall_clock,
    whole_number,
)
from domain.feed.adapters.match import FeedReading, MatchFeed, Step, run_steps
from domain.feed.models import BetResult, FeedEvent

_NAMES: Final = {
    "MATCH_ODDS": "match_result",
    "MATCH_ODDS_AND_OU_25": "match_result_and_total",
    "NEXT_GOAL": "next_goal",
    "CORRECT_SCORE": "correct_score",
    "BOTH_TEAMS_TO_SCORE": "both_to_score",
    "ASIAN_HANDICAP": "handicap",
    "FIRST_GOAL_SCORER": "goalscorer",
    "SET_WINNER": "set_winner",
    "TO_QUALIFY": "qualification",
}
_TOTAL: Final = re.compile(r"OVER_UNDER_([0-9]{1,4})")
_RESULTS: Final = {
    "WINNER": BetResult.WON,
    "PLACED": BetResult.WON,
    "LOSER": BetResult.LOST,
    "REMOVED": BetResult.VOID,
    "REMOVED_VACANT": BetResult.VOID,
}
_UNDECIDED: Final = frozenset({"ACTIVE", "HIDDEN"})
_OPEN: Final = "OPEN"
_SUSPENDED: Final = "SUSPENDED"
_MARKET_STATUSES: Final = frozenset({_OPEN, _SUSPENDED, "INACTIVE", "CLOSED"})


class KnownMarket(BaseModel):
    """What the stream has said of one market.

    Attributes:
        match: id of its match; messages of prices do not repeat it.
        name: as events carry it.
        runners: name and status of each selection, by id and handicap.
        in_play: None until it is known.
    """

    match: str = ""
    name: str
    runners: dict[str, tuple[str, str]] = Field(default_factory=dict)
    in_play: bool | None = None


class BetfairFeed(BaseModel):
    """Reader of the Exchange Stream for one match; `feed` and `markets` are its memory."""

    feed: MatchFeed
    markets: dict[str, KnownMarket] = Field(default_factory=dict)

    @classmethod
    def of(cls, match: str | None) -> BetfairFeed:
        """Return a reader for a match, by its event id, or for the only one."""
        return cls(feed=MatchFeed.of("betfair", match))

    def read(self, message: object) -> FeedReading:
        """Return the events of a message, decoded from JSON."""
        return run_steps(self._steps(message))

    def _steps(self, message: object) -> Iterator[Step]:
        body = mapping(message, "message")
        operation = str(body.get("op"))
        if operation == "status" and body.get("statusCode") == "FAILURE":
            raise FeedFormatError(
                "errorCode",
                f"the stream failed: {body.get('errorCode')} {body.get('errorMessage')}",
            )
        if operation in {"connection", "status", "ocm"}:
            return
        if operation != "mcm":
            raise FeedFormatError("op", f"`mcm` is expected, not {operation}")
        at = whole_number(body.get("pt"), field="pt")
        wall_clock(at)
        for index, change in enumerate(items(body, "mc", "")):
            yield from self._market(change, at, f"mc[{index}]")

    def _market(self, change: object, at: int, where: str) -> Iterator[Step]:
        body = mapping(change, where)
        market_id = body.get("id")
        if not isinstance(market_id, str):
            raise FeedFormatError(f"{where}.id", "the id of the market is missing")
        known = self.markets.get(market_id)
        definition = body.get("marketDefinition")
        if definition is not None:
            definition = mapping(definition, f"{where}.marketDefinition")
            if known is None:
                known = self.markets[market_id] = _described(market_id, definition, where)
        if known is None:
            raise FeedFormatError(
                f"{where}.id", f"market {market_id} has no definition before its first prices"
            )
        if not self.feed.concerns(known.match, field=f"{where}.marketDefinition.eventId"):
            return
        if body.get("img") is True:
            self.feed.prices.pop(known.name, None)  # an image is where the stream begins anew
        if definition is not None:
            yield partial(self._status, known, definition, at, f"{where}.marketDefinition")
            for index, runner in enumerate(
                items(definition, "runners", f"{where}.marketDefinition")
            ):
                field = f"{where}.marketDefinition.runners[{index}]"
                yield partial(self._runner, known, runner, at, field)
        for index, runner in enumerate(items(body, "rc", where)):
            yield partial(self._price, known, runner, at, f"{where}.rc[{index}]")

    def _status(
        self, known: KnownMarket, definition: dict[str, Any], at: int, where: str
    ) -> Iterator[FeedEvent]:
        status = str(definition.get("status"))
        if status not in _MARKET_STATUSES:
            raise FeedFormatError(f"{where}.status", f"unknown status of a market: {status}")
        in_play = definition.get("inPlay")
        if isinstance(in_play, bool):
            if in_play and known.in_play is False:
                self.feed.period = self.feed.period or "before"
                yield from self.feed.period_began("in play", at=at)
            known.in_play = in_play
        if status in {_OPEN, _SUSPENDED}:
            yield from self.feed.market_status(known.name, suspended=status == _SUSPENDED, at=at)

    def _runner(
        self, known: KnownMarket, runner: object, at: int, where: str
    ) -> Iterator[FeedEvent]:
        body = mapping(runner, where)
        key = _runner_key(body, where)
        status = str(body.get("status"))
        if status not in _RESULTS and status not in _UNDECIDED:
            raise FeedFormatError(f"{where}.status", f"unknown status of a runner: {status}")
        name = body.get("name")
        selection = market_key(name) if isinstance(name, str) and name.strip() else key
        before = known.runners.get(key, (selection, status))
        known.runners[key] = (selection, status)
        if before[1] == status:
            return
        if status in _RESULTS:
            yield from self.feed.settle(known.name, selection, _RESULTS[status], at=at)
        elif before[1] in _RESULTS:
            yield from self.feed.roll_back(known.name, selection, at=at)

    def _price(
        self, known: KnownMarket, runner: object, at: int, where: str
    ) -> Iterator[FeedEvent]:
        body = mapping(runner, where)
        if body.get("ltp") is None:
            return
        key = _runner_key(body, where)
        selection = known.runners.get(key, (key, ""))[0]
        odds = decimal_odds(body["ltp"], field=f"{where}.ltp")
        yield from self.feed.price(known.name, selection, odds, at=at, margin=0.0)


def _described(market_id: str, definition: dict[str, Any], where: str) -> KnownMarket:
    match = definition.get("eventId")
    if not isinstance(match, str) or not match:
        raise FeedFormatError(f"{where}.marketDefinition.eventId", "the id of the match is missing")
    kind = definition.get("marketType")
    if not isinstance(kind, str):
        return KnownMarket(match=match, name=f"betfair:{market_id}")
    if total := _TOTAL.fullmatch(kind):
        line = int(total[1]) / 10
        return KnownMarket(match=match, name=f"total_goals total={line:g}")
    return KnownMarket(match=match, name=market_key(_NAMES.get(kind, kind.lower())))


def _runner_key(runner: dict[str, Any], where: str) -> str:
    identity = whole_number(runner.get("id"), field=f"{where}.id")
    handicap = number(runner.get("hc") or 0, field=f"{where}.hc")
    return f"{identity} {handicap:+g}" if handicap else str(identity)
