"""Where a feed event lies, and what it says as a marker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.feed.clock import ClockSource, FeedClock
from domain.feed.evidence import (
    FeedPlace,
    MatchTime,
    UnplacedEventError,
    importance_of,
    marker_of,
    place_of,
)
from domain.feed.models import FeedEvent
from domain.highlights.markers import mark_of
from domain.media.timestamps import WallClockAnchor

START = datetime(2026, 5, 2, 19, tzinfo=UTC)
ANCHOR = WallClockAnchor(at=START)
KNOWN = FeedClock(source=ClockSource.ESTIMATED, offset=-6.0, error=0.7, pairs=5)


def event(**fields: Any) -> FeedEvent:  # noqa: ANN401
    return FeedEvent.model_validate(
        {"id": "e", "kind": "score", "at": {"wall_clock": START + timedelta(seconds=66)}} | fields
    )


def place(
    it: FeedEvent,
    *,
    clock: FeedClock = KNOWN,
    anchor: WallClockAnchor | None = ANCHOR,
    read: tuple[MatchTime, ...] = (),
) -> FeedPlace:
    return place_of(it, received_at=START, clock=clock, anchor=anchor, read=read, media_end=100.0)


def test_the_feed_clock_corrects_a_wall_clock_and_bounds_its_error() -> None:
    assert place(event()) == FeedPlace(60.0, 0.7)


def test_media_time_is_exact() -> None:
    assert place(event(at={"media": 61.5}, offset=-2.0)) == FeedPlace(59.5, 0.5)


@pytest.mark.parametrize(
    ("read", "at"),
    [
        ((MatchTime(40.0, "10:00", "1st"), MatchTime(100.0, "11:00", "1st")), 70.0),
        ((MatchTime(40.0, "11:00", "1st"), MatchTime(100.0, "10:00", "1st")), 70.0),
    ],
)
def test_a_match_clock_is_placed_whether_it_counts_up_or_down(
    read: tuple[MatchTime, ...], at: float
) -> None:
    assert place(event(at={"clock": "10:30", "period": "1st"}), read=read).at == at


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"at": {"wall_clock": START - timedelta(days=1)}}, "before the stream began"),
        ({"at": {"wall_clock": START + timedelta(days=1)}}, "in the future"),
        ({"at": {"clock": "10:30"}}, "was read on the screen"),
    ],
)
def test_a_time_that_is_not_of_the_stream_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UnplacedEventError, match=message):
        place(event(**fields))


def test_without_a_wall_clock_of_the_stream_the_message_says_what_to_send() -> None:
    with pytest.raises(UnplacedEventError, match="send `media` times"):
        place(event(), anchor=None)


def test_without_a_feed_clock_an_event_only_strengthens_a_moment() -> None:
    unknown = marker_of(event(), UUID(int=1), place(event(), clock=FeedClock()))
    known = marker_of(event(), UUID(int=1), place(event()))
    assert unknown is not None
    assert unknown.feed is not None
    assert unknown.feed.hint
    assert known is not None
    assert known.feed is not None
    assert not known.feed.hint


def test_without_a_feed_clock_an_event_weighs_less() -> None:
    it = event(importance=0.8)
    weights = [
        marker.importance
        for clock in (FeedClock(), KNOWN)
        if (found := marker_of(it, UUID(int=1), place(it, clock=clock))) is not None
        and (marker := mark_of(found)) is not None
    ]
    assert weights == [pytest.approx(0.2), 0.8]


def test_a_junk_move_is_no_marker_whatever_importance_is_claimed() -> None:
    junk = event(kind="odds", odds={"before": 2.4, "after": 2.2}, importance=1.0)
    assert importance_of(junk) == 0.0
    assert marker_of(junk, UUID(int=1), FeedPlace(60.0, 0.5)) is None


def test_an_odds_move_is_a_hint_that_the_reasons_name() -> None:
    odds = {"before": 2.4, "after": 1.25, "seconds": 3}
    marker = marker_of(
        event(kind="odds", odds=odds, market="next goal"), UUID(int=1), FeedPlace(60.0, 0.5)
    )
    mark = mark_of(marker) if marker is not None else None
    assert mark is not None
    assert mark.feed is not None
    assert (mark.is_hint, mark.feed.words) == (True, "next goal: 2.40 → 1.25 in 3 s")


@pytest.mark.parametrize("kind", ["settled", "cash_out", "reopened", "period"])
def test_what_follows_a_moment_is_no_marker(kind: str) -> None:
    assert importance_of(event(kind=kind)) == 0.0
