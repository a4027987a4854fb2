"""Linking: what becomes of a feed event, and which highlight it belongs to. Pure rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from domain.feed.evidence import FeedPlace, importance_of
from domain.feed.models import BetResult, FeedEvent, FeedEventKind, FeedOutcome
from domain.feed.odds import implied_probability, size_of_move

DECIDED_AFTER: Final = 30.0
"""Seconds of analysis past an event after which its moment is decided."""

DETECTOR_MEMORY: Final = 40.0
"""Seconds for which the detector can still make a moment of an event."""

_BEFORE: Final = 8.0
_AFTER: Final = 5.0
_SETTLED_AFTER: Final = 180.0
_CASHED_OUT_AFTER: Final = 60.0

NEAR_MISS: Final = "near_miss"
BAD_BEAT: Final = "bad_beat"
BEFORE_CASH_OUT: Final = "before_cash_out"

_MISS_WITHIN: Final = 60.0
_MISS_MOVE: Final = 1.0
_NEARLY_WON: Final = 0.8
_BEATEN_WITHIN: Final = 900.0

FOLLOWING: Final = {
    FeedEventKind.SETTLED: _SETTLED_AFTER,
    FeedEventKind.CASH_OUT: _CASHED_OUT_AFTER,
}
"""Kinds that follow the moment that they are about, by up to that many seconds."""

UNRESOLVED: Final = frozenset({FeedOutcome.WAITING, FeedOutcome.UNPLACED})
"""Outcomes that later passes may change without any new revision."""


@dataclass(frozen=True, kw_only=True)
class FeedEventRecord:
    """An event with what is known of it.

    Attributes:
        id: of its row.
        place: where it lies; None until it was placed.
        highlight: the highlight that the analyzer attached it to, or that it was linked to.
        is_base: True if that highlight would not exist without it.
        taken_back_by: the tenant's id of the event that retracts it.
    """

    id: UUID
    event: FeedEvent
    outcome: FeedOutcome = FeedOutcome.WAITING
    place: FeedPlace | None = None
    highlight: UUID | None = None
    is_base: bool = False
    taken_back_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class LinkTarget:
    """A highlight that events may belong to; times in s of media time."""

    id: UUID
    start: float
    peak: float
    end: float
    is_shown: bool = True


@dataclass(frozen=True)
class FeedRuling:
    """What became of an event, in words where that needs some."""

    outcome: FeedOutcome
    highlight: UUID | None = None
    detail: str = ""


def rule_on(
    stored: FeedEventRecord,
    place: FeedPlace,
    targets: Sequence[LinkTarget],
    *,
    analyzed: float,
    ended: bool,
    prefer: Collection[UUID] = (),
) -> FeedRuling:
    """Return what became of an event that has a place.

    Args:
        stored: the event.
        place: where it lies.
        targets: highlights of the stream.
        analyzed: media time (s) up to which the stream is analyzed.
        ended: True if no highlight will follow.
        prefer: highlights of the same market, which a settlement is about.
    """
    if stored.taken_back_by is not None:
        detail = f"Event {stored.taken_back_by} takes it back."
        return FeedRuling(FeedOutcome.RETRACTED, stored.highlight, detail)
    own = next((each for each in targets if each.id == stored.highlight), None)
    if own is not None and own.is_shown and stored.outcome is FeedOutcome.WAITING:
        outcome = FeedOutcome.MARKED if stored.is_base else FeedOutcome.RAISED
        return FeedRuling(outcome, own.id)
    shown = [each for each in targets if each.is_shown]
    linked = _followed(stored.event, place, shown, prefer) or _nearest(place, shown)
    may_mark = importance_of(stored.event) > 0.0
    late = stored.place is None and place.at + DETECTOR_MEMORY < analyzed
    decided = ended or late or analyzed >= place.at + place.error + DECIDED_AFTER
    if linked is not None and (decided or not may_mark):
        return FeedRuling(FeedOutcome.LINKED, linked.id)
    if not decided:
        return FeedRuling(FeedOutcome.WAITING, stored.highlight)
    if late:
        return FeedRuling(
            FeedOutcome.TOO_LATE,
            detail=f"It came {analyzed - place.at:.0f} s of media after its moment was analyzed.",
        )
    return FeedRuling(FeedOutcome.UNUSED, detail="No highlight is near its place.")


def _nearest(place: FeedPlace, shown: Sequence[LinkTarget]) -> LinkTarget | None:
    near = [
        each
        for each in shown
        if each.start - _AFTER - place.error <= place.at <= each.end + _BEFORE + place.error
    ]
    return min(near, key=lambda each: (abs(each.peak - place.at), each.id), default=None)


def _followed(
    event: FeedEvent, place: FeedPlace, shown: Sequence[LinkTarget], prefer: Collection[UUID]
) -> LinkTarget | None:
    """Return the moment that a settlement or cash-out is about: the last one of its market."""
    reach = FOLLOWING.get(event.kind)
    if reach is None:
        return None
    before = [
        each
        for each in shown
        if place.at - reach - place.error <= each.peak <= place.at + _AFTER + place.error
    ]
    return max(before, key=lambda each: (each.id in prefer, each.peak, each.id), default=None)


def is_sole_base(stored: FeedEventRecord, others: Sequence[FeedEventRecord]) -> bool:
    """Return True if a highlight rests on an event alone.

    Args:
        stored: an event of the highlight.
        others: the other events of it that were not taken back.
    """
    return stored.is_base and not any(
        importance_of(each.event) > 0.0 for each in others if each.id != stored.id
    )


def stale_tags(
    stored: FeedEventRecord, others: Sequence[FeedEventRecord], tags: Sequence[str], peak: float
) -> tuple[str, ...]:
    """Return the tags that a highlight has only from an event that was taken back.

    Args:
        stored: the event.
        others: other events of the highlight that were not taken back.
        tags: the highlight's.
        peak: of the highlight, in seconds of media time.
    """
    left = [each for each in others if each.id != stored.id]
    still = {each.event.label for each in left} | {*bet_tags(peak, left)}
    own = {stored.event.label, *bet_tags(peak, [*left, replace(stored, taken_back_by=None)])}
    return tuple(tag for tag in tags if tag in own - still)


def bet_tags(peak: float, events: Sequence[FeedEventRecord]) -> tuple[str, ...]:
    """Return the tags that events and markets give a highlight, sorted.

    `near_miss`: the odds of a selection fell as if it had won, and rose again within a minute,
    without a score. `bad_beat`: a bet was lost that was nearly won before. `before_cash_out`: the
    bet was cashed out within a minute after the moment.

    Args:
        peak: of the highlight, in seconds of media time.
        events: events of the stream; those that were taken back are ignored.
    """
    live = [
        (each.place.at, each.event)
        for each in events
        if each.place is not None and each.taken_back_by is None
    ]
    tags = {
        BEFORE_CASH_OUT: _is_before_cash_out(peak, live),
        NEAR_MISS: _is_near_miss(peak, live),
        BAD_BEAT: _is_bad_beat(peak, live),
    }
    return tuple(sorted(tag for tag, applies in tags.items() if applies))


_Placed = tuple[float, FeedEvent]


def _is_before_cash_out(peak: float, live: Sequence[_Placed]) -> bool:
    return any(
        event.kind is FeedEventKind.CASH_OUT and peak <= at <= peak + _CASHED_OUT_AFTER
        for at, event in live
    )


def _is_near_miss(peak: float, live: Sequence[_Placed]) -> bool:
    around = [(at, each) for at, each in live if abs(at - peak) <= _MISS_WITHIN]
    if any(each.kind is FeedEventKind.SCORE for _, each in around):
        return False
    moves = [(at, each, size_of_move(each.odds)) for at, each in around if each.odds is not None]
    return any(
        up >= _MISS_MOVE
        and down <= -_MISS_MOVE
        and at < later <= at + _MISS_WITHIN
        and (rise.market, rise.selection) == (fall.market, fall.selection)
        for at, rise, up in moves
        for later, fall, down in moves
    )


def _is_bad_beat(peak: float, live: Sequence[_Placed]) -> bool:
    lost = {
        (each.market, each.selection)
        for at, each in live
        if each.result is BetResult.LOST and peak - _AFTER <= at <= peak + _SETTLED_AFTER
    }
    return any(
        each.odds is not None
        and each.market is not None
        and (each.market, each.selection) in lost
        and peak - _BEATEN_WITHIN <= at < peak
        and implied_probability(each.odds.after, margin=each.odds.margin) >= _NEARLY_WON
        for at, each in live
    )
