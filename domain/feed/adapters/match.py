"""What a feed has said about one match, and the feed events that follow from what it says next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError

from domain.feed.adapters.fields import FeedFormatError, event_id, wall_clock
from domain.feed.models import (
    BetResult,
    FeedEvent,
    FeedEventKind,
    FeedState,
    FeedTime,
    OddsMove,
)
from domain.feed.odds import JUNK_MOVE, size_of_move

MOVE_TIME: Final = 10.0
"""Seconds within which changes of odds count as one move."""

_MOST_GOALS: Final = 200
_CLOCK: Final = re.compile(r"0*([0-9]{1,3}:[0-5][0-9])")


class FeedFormat(StrEnum):
    """Format of a feed that has an adapter; `events` are those of the API."""

    EVENTS = "events"
    SPORTRADAR = "sportradar"
    BETFAIR = "betfair"
    ODDS_API = "odds-api"


class FeedReading(NamedTuple):
    """Events of a message, and the fields of it that were left out because they are wrong."""

    events: tuple[FeedEvent, ...]
    problems: tuple[FeedFormatError, ...] = ()


Step = Callable[[], Iterable[FeedEvent]]
Built = TypeVar("Built")


def run_steps(steps: Iterator[Step]) -> FeedReading:
    """Return the events of all steps; a step that fails costs only its own events."""
    events: list[FeedEvent] = []
    problems: list[FeedFormatError] = []
    try:
        for step in steps:
            try:
                events.extend(step())
            except FeedFormatError as problem:
                problems.append(problem)
    except FeedFormatError as problem:
        problems.append(problem)
    return FeedReading(tuple(events), tuple(problems))


class KnownPrice(BaseModel):
    """Decimal odds at a time (Unix, ms), from which the next move is measured."""

    odds: float
    at: int


class KnownGoal(BaseModel):
    """A score, and the event that reported it."""

    home: int
    away: int
    event_id: str


class KnownSettlement(BaseModel):
    """How a selection was settled, and the event that reported it."""

    result: BetResult
    event_id: str


class MatchFeed(BaseModel):
    """State of one match as its feed tells it.

    Attributes:
        source: prefix of the ids of events, such as `uof`.
        match: id of the match in the feed; empty until the first message names it.
        chosen: True if messages of other matches are left out, False if they are errors.
        prices: by market and selection.
        suspended: whether a market takes no bets.
        stopped: True while the feed has suspended the whole match.
        score: home and away; None until it is known.
        goals: scores that may still be taken back, oldest first.
        period: name of the current period.
        settled: by market and selection; an empty selection is the whole market.
    """

    source: str
    match: str = ""
    chosen: bool = False
    prices: dict[str, dict[str, KnownPrice]] = Field(default_factory=dict)
    suspended: dict[str, bool] = Field(default_factory=dict)
    stopped: bool = False
    score: tuple[int, int] | None = None
    goals: list[KnownGoal] = Field(default_factory=list)
    period: str | None = None
    settled: dict[str, dict[str, KnownSettlement]] = Field(default_factory=dict)

    @classmethod
    def of(cls, source: str, match: str | None) -> MatchFeed:
        """Return the state before the first message of a match, or of the only one."""
        return cls(source=source, match=match or "", chosen=match is not None)

    def concerns(self, match: str, *, field: str) -> bool:
        """Return True if a message is about this match.

        Raises:
            FeedFormatError: it is about another match, and none was chosen.
        """
        if not self.match:
            self.match = match
        if self.match != match and not self.chosen:
            raise FeedFormatError(
                field,
                f"the feed is about `{match}` and `{self.match}`: choose one of them with --match",
            )
        return self.match == match

    def price(
        self, market: str, selection: str, odds: float, *, at: int, margin: float
    ) -> Iterator[FeedEvent]:
        """Yield an event if the odds moved by more than markets drift without a reason."""
        known = self.prices.setdefault(market, {})
        before = known.get(selection)
        seconds = 0.0 if before is None else (at - before.at) / 1000
        if before is None or not 0.0 <= seconds <= MOVE_TIME:
            known[selection] = KnownPrice(odds=odds, at=at)
            if before is None or seconds < 0.0:
                return
        if before.odds == odds:
            return
        move = OddsMove(
            before=before.odds,
            after=odds,
            seconds=min(600.0, seconds) or None,
            margin=margin,
        )
        if abs(size_of_move(move)) <= JUNK_MOVE:
            return
        known[selection] = KnownPrice(odds=odds, at=at)
        yield self._event(
            FeedEventKind.ODDS,
            *("odds", market, selection, at),
            at=at,
            market=market,
            selection=selection,
            odds=move,
        )

    def market_status(self, market: str, *, suspended: bool, at: int) -> Iterator[FeedEvent]:
        """Yield an event if a market was suspended or reopened alone."""
        before = self.suspended.get(market)
        self.suspended[market] = suspended
        if self.stopped or before is None or before == suspended:
            return
        kind = FeedEventKind.SUSPENDED if suspended else FeedEventKind.REOPENED
        yield self._event(kind, kind.value, market, at, at=at, market=market)

    def group_stopped(self, group: str, *, at: int) -> Iterator[FeedEvent]:
        """Yield the suspension of a group of markets that the feed does not list."""
        yield self._event(FeedEventKind.SUSPENDED, "suspended", group, at, at=at, market=group)

    def stop(self, *, at: int) -> Iterator[FeedEvent]:
        """Yield an event if the feed suspends all markets of the match."""
        if not self.stopped:
            self.stopped = True
            yield self._event(FeedEventKind.SUSPENDED, "suspended", at, at=at)

    def reopen(self, *, at: int) -> Iterator[FeedEvent]:
        """Yield an event if the match takes bets again."""
        if self.stopped:
            self.stopped = False
            self.suspended.clear()
            yield self._event(FeedEventKind.REOPENED, "reopened", at, at=at)

    def scored(
        self, home: int, away: int, *, at: int, clock: str | None = None
    ) -> Iterator[FeedEvent]:
        """Yield an event for a new score, or for each score that was taken back."""
        before, self.score = self.score, (home, away)
        if before is None or before == (home, away):
            return
        state = self._state(home, away, clock)
        if home >= before[0] and away >= before[1]:
            event = self._event(
                FeedEventKind.SCORE, "score", f"{home}-{away}", at, at=at, state=state
            )
            self.goals = [
                *self.goals[1 - _MOST_GOALS :],
                KnownGoal(home=home, away=away, event_id=event.id),
            ]
            yield event
            return
        wrong = [goal for goal in self.goals if goal.home > home or goal.away > away]
        self.goals = [goal for goal in self.goals if goal not in wrong]
        for goal in wrong:
            yield self._event(
                FeedEventKind.SCORE,
                *("score", f"{home}-{away}", at, "takes-back", f"{goal.home}-{goal.away}"),
                at=at,
                state=state,
                retracts=goal.event_id,
            )

    def period_began(self, period: str, *, at: int) -> Iterator[FeedEvent]:
        """Yield an event if another period began; the first one known is no event."""
        before, self.period = self.period, period
        if before is not None and before != period:
            home, away = self.score or (None, None)
            yield self._event(
                *(FeedEventKind.PERIOD, "period", period, at),
                at=at,
                state=self._state(home, away, None),
            )

    def settle(
        self, market: str, selection: str | None, result: BetResult, *, at: int
    ) -> Iterator[FeedEvent]:
        """Yield the settlement of a selection, or of a whole market that is void.

        The same result again makes no event; another one takes the first back.
        """
        known = self.settled.setdefault(market, {})
        before = known.get(selection or "")
        if before is not None and before.result is result:
            return
        if before is not None:
            yield from self.roll_back(market, selection or "", at=at)
        event = self._event(
            FeedEventKind.SETTLED,
            *("settled", market, selection or "all", at),
            at=at,
            market=market,
            selection=selection,
            result=result,
        )
        known[selection or ""] = KnownSettlement(result=result, event_id=event.id)
        yield event

    def roll_back(
        self, market: str, selection: str | None = None, *, at: int
    ) -> Iterator[FeedEvent]:
        """Yield an event for each settlement of a market, or of a selection, that is taken back."""
        known = self.settled.get(market, {})
        for name in list(known) if selection is None else [selection]:
            settlement = known.pop(name, None)
            if settlement is not None:
                yield self._event(
                    FeedEventKind.SETTLED,
                    *("rolled-back", market, name or "all", at),
                    at=at,
                    market=market,
                    selection=name or None,
                    retracts=settlement.event_id,
                )

    def remark(self, label: str, *, at: int) -> Iterator[FeedEvent]:
        """Yield an event that is recorded and makes no moment."""
        yield self._event(FeedEventKind.CUSTOM, label, at, at=at, label=label, importance=0.0)

    def _state(self, home: int | None, away: int | None, clock: str | None) -> FeedState:
        shown = _CLOCK.fullmatch(clock or "")
        return self._checked(
            lambda: FeedState(
                home=home, away=away, clock=shown.group(1) if shown else None, period=self.period
            )
        )

    def _event(
        self, kind: FeedEventKind, *identity: object, at: int, **fields: object
    ) -> FeedEvent:
        values = {
            "id": event_id(self.source, self.match, *identity),
            "kind": kind,
            "at": FeedTime(wall_clock=wall_clock(at)),
        }
        return self._checked(lambda: FeedEvent.model_validate(values | fields))

    @staticmethod
    def _checked(build: Callable[[], Built]) -> Built:
        try:
            return build()
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "event"
            raise FeedFormatError(where, first["msg"]) from error
