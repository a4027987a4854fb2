"""What a feed event says about a moment: its place on the timeline, and its weight as a marker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from domain.feed.clock import UNKNOWN_ERROR, FeedClock
from domain.feed.models import FeedEvent, FeedEventKind, FeedTime
from domain.feed.odds import importance_of_move, words_of_move
from domain.highlights.candidate import USUAL_IMPORTANCE
from domain.media.segments import FeedMark, TimedMetadata
from domain.media.timestamps import MINUTE, WallClockAnchor

EXACT_ERROR: Final = 0.5
"""Error bound (s) of a place that is given in media time."""

CLOCK_ERROR: Final = 3.0
"""Error bound (s) of a place found by the match clock."""

FARTHEST_AHEAD: Final = 60.0
"""Maximum distance (s) of an event after the end of the media received; later is a mistake."""

_SUSPENDED: Final = 0.3
_REVIEW: Final = 0.5
_UNCERTAIN: Final = 0.25
"""Share of its weight that an event has while its moment may be any within half a minute."""

# Kinds that the picture shows. The others follow it, and are only linked to its moments.
_MAKING: Final = frozenset({FeedEventKind.SCORE, FeedEventKind.CUSTOM})
_HINTING: Final = frozenset({FeedEventKind.ODDS, FeedEventKind.SUSPENDED, FeedEventKind.REVIEW})


class FeedPlace(NamedTuple):
    """Where an event lies: seconds of media time, and the bound of the error."""

    at: float
    error: float


class MatchTime(NamedTuple):
    """A match clock that was read on the screen, at a media time (s)."""

    at: float
    clock: str
    period: str | None


class UnplacedEventError(Exception):
    """An event has no place on the timeline; the message is for the tenant."""


def place_of(
    event: FeedEvent,
    *,
    received_at: datetime,
    clock: FeedClock,
    anchor: WallClockAnchor | None,
    read: Sequence[MatchTime],
    media_end: float,
) -> FeedPlace:
    """Return where the moment of an event lies.

    Args:
        event: the event.
        received_at: when the service received it.
        clock: of the stream's feed.
        anchor: a point known on both clocks.
        read: match clocks that were read on the screen.
        media_end: end of the media received (s).

    Raises:
        UnplacedEventError: the time is not of this stream, or cannot be mapped to it.
    """
    at = event.at
    if at.media is not None:
        place = FeedPlace(at.media, EXACT_ERROR)
    elif at.clock is not None:
        place = FeedPlace(_place_by_match_clock(at, read), CLOCK_ERROR)
    elif anchor is None:
        raise UnplacedEventError(
            "The stream has no wall clock yet: send `media` times, or an EXT-X-PROGRAM-DATE-TIME "
            "in the playlist."
        )
    else:
        wall = received_at if at.wall_clock is None else at.wall_clock
        place = FeedPlace(anchor.media_time_of(wall) + clock.offset, clock.error)
    place = place._replace(at=place.at + event.offset)
    if place.at < -place.error:
        raise UnplacedEventError(f"Its time is {-place.at:.0f} s before the stream began.")
    if place.at > media_end + FARTHEST_AHEAD + place.error:
        raise UnplacedEventError(f"Its time is {place.at - media_end:.0f} s in the future.")
    return FeedPlace(round(max(0.0, place.at), 3), place.error)


def raw_place(
    event: FeedEvent, *, received_at: datetime, anchor: WallClockAnchor | None
) -> float | None:
    """Return the place (s) of an event at face value, to estimate the feed clock; None if exact."""
    if anchor is None or (event.at.wall_clock is None and event.at.now is None):
        return None
    return anchor.media_time_of(event.at.wall_clock or received_at) + event.offset


def is_shown(event: FeedEvent) -> bool:
    """Return True if the picture shows the event itself, so that the feed clock learns from it."""
    return event.kind in _MAKING and event.retracts is None


def marker_of(event: FeedEvent, identity: UUID, place: FeedPlace) -> TimedMetadata | None:
    """Return the event as a marker, for the path that timed metadata takes.

    None if it is not evidence: settlements follow a moment at any distance, and are only linked.

    An event alone makes no moment if its place is as uncertain as without a feed clock.
    """
    importance = importance_of(event)
    if importance <= 0.0:
        return None
    uncertain = place.error >= UNKNOWN_ERROR
    hint = event.kind in _HINTING or uncertain
    if uncertain:
        importance *= _UNCERTAIN
    documented = {"label": label_of(event), "importance": importance}
    return TimedMetadata(
        id=f"feed/{identity}",
        at=place.at,
        payload=json.dumps({"highlight": documented}, ensure_ascii=False),
        feed=FeedMark(event=identity, hint=hint, words=words_of(event)),
    )


def importance_of(event: FeedEvent) -> float:
    """Return the weight of an event as a marker, 0 if it is none."""
    if event.retracts is not None or event.kind not in _MAKING | _HINTING:
        return 0.0
    if event.odds is not None:
        least = importance_of_move(event.odds)
        # A tenant's own weight does not turn junk into evidence.
        return least if event.importance is None or least == 0.0 else event.importance
    if event.importance is not None:
        return event.importance
    return {FeedEventKind.SUSPENDED: _SUSPENDED, FeedEventKind.REVIEW: _REVIEW}.get(
        event.kind, USUAL_IMPORTANCE
    )


def label_of(event: FeedEvent) -> str:
    """Return the label of an event, by default its kind."""
    return event.label or {
        FeedEventKind.ODDS: "odds_move",
        FeedEventKind.SUSPENDED: "market_suspended",
    }.get(event.kind, event.kind.value)


def words_of(event: FeedEvent) -> str:
    """Return what an event says, for the reasons of a highlight."""
    market = event.market or "a market"
    if event.odds is not None:
        return words_of_move(event.odds, market=market)
    if event.kind is FeedEventKind.SUSPENDED:
        return f"{market} was suspended"
    state = event.state
    if state is not None and state.home is not None and state.away is not None:
        return f"the feed reports {label_of(event).replace('_', ' ')}, {state.home}-{state.away}"
    return f"the feed reports {label_of(event).replace('_', ' ')}"


def _place_by_match_clock(at: FeedTime, read: Sequence[MatchTime]) -> float:
    """Return the media time (s) of a match clock, along the two nearest readings of its period."""
    wanted = _seconds(at.clock or "0:00")
    known = sorted(
        {
            each.at: _seconds(each.clock)
            for each in read
            if at.period is None or each.period is None or each.period == at.period
        }.items(),
        key=lambda each: abs(each[1] - wanted),
    )
    if not known:
        raise UnplacedEventError(
            f"No match clock near {at.clock} was read on the screen: send `wall_clock` or `media`."
        )
    first, shown = known[0]
    # A clock that counts down runs against the media; one reading does not say which way it runs.
    other = next((each for each in known[1:] if each[1] != shown), None)
    backward = other is not None and (other[1] - shown) * (other[0] - first) < 0
    return first + (shown - wanted if backward else wanted - shown)


def _seconds(clock: str) -> float:
    minutes, _, seconds = clock.partition(":")
    try:
        return int(minutes) * MINUTE + float(seconds or 0)
    except ValueError:
        return 0.0
