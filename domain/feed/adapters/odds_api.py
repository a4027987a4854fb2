"""The Odds API: one polled answer of `/odds` or `/scores` at a time (mapping: `docs/feeds.md`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from statistics import median
from typing import Any, Final

from pydantic import BaseModel

from domain.feed.adapters.fields import (
    FeedFormatError,
    decimal_odds,
    items,
    mapping,
    margin,
    market_key,
    number,
    refuse,
    whole_number,
)
from domain.feed.adapters.match import FeedReading, MatchFeed, Step, run_steps
from domain.feed.models import FeedEvent

_NAMES: Final = {
    "h2h": "match_result",
    "h2h_3_way": "match_result",
    "spreads": "handicap",
    "totals": "total_goals",
    "btts": "both_to_score",
    "outrights": "winner",
    "draw_no_bet": "draw_no_bet",
}
_EXCHANGE_LAY: Final = "_lay"
_AMERICAN: Final = 100


class OddsApiFeed(BaseModel):
    """Reader of polled answers for one match; `feed` remembers the last one.

    The price of a selection is the median of all bookmakers, so that one that is slow or wrong
    makes no event.
    """

    feed: MatchFeed

    @classmethod
    def of(cls, match: str | None) -> OddsApiFeed:
        """Return a reader for a match, by its id, or for the only one."""
        return cls(feed=MatchFeed.of("odds-api", match))

    def read(self, answer: object) -> FeedReading:
        """Return the events of an answer, decoded from JSON: a match, or a list of matches."""
        return run_steps(self._steps(answer))

    def _steps(self, answer: object) -> Iterator[Step]:
        if isinstance(answer, dict) and "message" in answer and "id" not in answer:
            raise FeedFormatError("message", f"the API refused the request: {answer['message']}")
        matches = answer if isinstance(answer, list) else [answer]
        for index, match in enumerate(matches):
            where = f"[{index}]" if isinstance(answer, list) else "match"
            body = mapping(match, where)
            identity = body.get("id")
            if not isinstance(identity, str) or not identity:
                raise FeedFormatError(f"{where}.id", "the id of the match is missing")
            if not self.feed.concerns(identity, field=f"{where}.id"):
                continue
            if "scores" in body:
                yield partial(self._scores, body, where)
            if "bookmakers" in body:
                yield from self._odds(body, where)

    def _scores(self, match: dict[str, Any], where: str) -> Iterator[FeedEvent]:
        if match.get("scores") is None:
            return  # the match has not begun
        at = _time(match.get("last_update"), f"{where}.last_update")
        scores: dict[str, int] = {}
        for index, each in enumerate(items(match, "scores", where)):
            field = f"{where}.scores[{index}]"
            body = mapping(each, field)
            scores[str(body.get("name"))] = whole_number(body.get("score"), field=f"{field}.score")
        sides = []
        for team in (str(match.get("home_team")), str(match.get("away_team"))):
            if team not in scores:
                raise FeedFormatError(f"{where}.scores", f"no score of {team}")
            sides.append(scores[team])
        yield from self.feed.scored(*sides, at=at)
        yield from self.feed.period_began(
            "ended" if match.get("completed") is True else "in play", at=at
        )

    def _odds(self, match: dict[str, Any], where: str) -> Iterator[Step]:
        prices: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        latest = 0
        complete = True
        american = _is_american(match)
        for index, bookmaker in enumerate(items(match, "bookmakers", where)):
            at_bookmaker = f"{where}.bookmakers[{index}]"
            body = mapping(bookmaker, at_bookmaker)
            for market_index, market in enumerate(items(body, "markets", at_bookmaker)):
                field = f"{at_bookmaker}.markets[{market_index}]"
                try:
                    details = mapping(market, field)
                    latest = max(
                        latest,
                        _time(
                            details.get("last_update") or body.get("last_update"),
                            f"{field}.last_update",
                        ),
                    )
                    for name, selection, odds in _outcomes(
                        match, details, field, american=american
                    ):
                        prices[name][selection].append(odds)
                except FeedFormatError as problem:
                    complete = False
                    yield partial(refuse, problem)
        if not latest:
            return
        # A market that could not be read may well be open.
        for name in sorted(self.feed.prices.keys() - prices.keys()) if complete else ():
            yield partial(self.feed.market_status, name, suspended=True, at=latest)
        for name, selections in prices.items():
            yield partial(self.feed.market_status, name, suspended=False, at=latest)
            typical = {selection: median(odds) for selection, odds in selections.items()}
            share = margin(typical.values())
            for selection, odds in typical.items():
                yield partial(self.feed.price, name, selection, odds, at=latest, margin=share)


def _outcomes(
    match: dict[str, Any], market: dict[str, Any], where: str, *, american: bool
) -> Iterator[tuple[str, str, float]]:
    """Yield market, selection and decimal odds of each outcome."""
    key = market.get("key")
    if not isinstance(key, str) or not key:
        raise FeedFormatError(f"{where}.key", "the key of the market is missing")
    if key.endswith(_EXCHANGE_LAY):
        return  # prices against a selection, which move the other way
    sides = {str(match.get("home_team")): "home", str(match.get("away_team")): "away"}
    for index, outcome in enumerate(items(market, "outcomes", where)):
        field = f"{where}.outcomes[{index}]"
        body = mapping(outcome, field)
        name = body.get("name")
        if not isinstance(name, str) or not name:
            raise FeedFormatError(f"{field}.name", "the name of the outcome is missing")
        line = _line(body, key, sides.get(name), field)
        selection = sides.get(name) or name.lower()
        who = body.get("description")
        if isinstance(who, str) and who:
            selection = f"{who} {selection}"
        price = body.get("price")
        yield (
            market_key(f"{_NAMES.get(key, key)}{line}"),
            market_key(selection),
            _from_american(price, f"{field}.price")
            if american
            else decimal_odds(price, field=f"{field}.price"),
        )


def _line(outcome: dict[str, Any], key: str, side: str | None, where: str) -> str:
    """Return the line of an outcome, the same for both sides of a handicap."""
    if outcome.get("point") is None:
        return ""
    point = number(outcome["point"], field=f"{where}.point")
    if key.startswith(("spreads", "alternate_spreads")):
        return f" hcp={-point if side == 'away' else point:g}"
    return f" total={point:g}"


def _is_american(match: dict[str, Any]) -> bool:
    """Return True if the prices are American: decimal odds are never negative."""
    return any(
        isinstance(outcome, dict)
        and isinstance(outcome.get("price"), int | float)
        and outcome["price"] <= -_AMERICAN
        for bookmaker in _lists(match, "bookmakers")
        for market in _lists(bookmaker, "markets")
        for outcome in _lists(market, "outcomes")
    )


def _lists(value: object, name: str) -> list[object]:
    """Return a list of an object, empty if there is none; what is wrong is reported elsewhere."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _from_american(value: object, field: str) -> float:
    price = number(value, field=field)
    if abs(price) < _AMERICAN:
        raise FeedFormatError(field, f"American odds are at least 100 or at most -100, not {value}")
    decimal = 1 + (price / 100 if price > 0 else 100 / -price)
    return decimal_odds(decimal, field=field)


def _time(value: object, field: str) -> int:
    """Return a time as Unix time in ms."""
    wrong = FeedFormatError(
        field, f"a time such as 2026-05-02T19:21:07Z is expected, not {value!r}"
    )
    if not isinstance(value, str):
        raise wrong
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise wrong from None
    if found.tzinfo is None:
        raise wrong
    return round(found.timestamp() * 1000)
