"""A feed about a scripted match: late or early by seconds, with jitter and moves that mean nothing.

Each true moment is reported once, as a `custom` event with the kind of the moment as its label.
Odds moves at times of no moment are mixed in; half of them are larger than what the product takes
for junk.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from benchmarks.quality.truth.ground_truth import GroundTruth
from domain.feed.clock import ClockSource, FeedClock, MeasuredMoment, estimate_clock
from domain.feed.evidence import FeedPlace, is_shown, marker_of
from domain.feed.models import FeedEvent
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.markers import rests_on_mark
from domain.media.segments import TimedMetadata
from domain.profiles.model import GameProfile

DELAYS: Final = (-8.0, 15.0)
JITTER: Final = 0.5
JUNK: Final = 0.2
FIVE: Final = 5
_FACE_VALUE_ERROR: Final = 0.5
_REMEMBERED: Final = 40.0
_NAMESPACE: Final = UUID("0b0c6d54-5d0e-4a63-9b3c-3b8c1f0e2a11")


@dataclass(frozen=True)
class ScriptedEvent:
    """An event, and when it is sent, which is also its time stamp (s of media time)."""

    id: UUID
    sent: float
    event: FeedEvent


@dataclass(frozen=True)
class ScriptedFeed:
    """The events of a match in the order of sending, and the seconds by which they are late."""

    delay: float
    events: Sequence[ScriptedEvent]


def script_feed(truth: GroundTruth, *, duration: float, seed: int) -> ScriptedFeed:
    """Return a feed about a match; the same seed gives the same feed."""
    rng = random.Random(seed)
    delay = rng.uniform(*DELAYS)
    events = [
        _event(f"m{number}", each.height + delay + rng.gauss(0.0, JITTER), each.kind)
        for number, each in enumerate(truth.moments)
    ]
    # A fifth of all events.
    junk = max(1, round(len(events) * JUNK / (1.0 - JUNK)))
    events += [
        _move(f"j{number}", rng.uniform(0.0, duration), rng.choice((1.02, 1.3, 1.8, 2.6)))
        for number in range(junk)
    ]
    return ScriptedFeed(delay, sorted(events, key=lambda each: each.sent))


class FollowedFeed:
    """Places the events of a feed as the service does: by the clock that it estimates meanwhile."""

    def __init__(self, feed: ScriptedFeed, profile: GameProfile) -> None:
        self._feed = feed
        self._profile = profile
        self.clock = FeedClock()
        self.errors: list[float | None] = []

    def __call__(self, now: float, found: Sequence[HighlightCandidate]) -> Sequence[TimedMetadata]:
        """Return the markers of the events that were sent before `now` (s)."""
        sent = [each for each in self._feed.events if each.sent <= now]
        shown = [each for each in sent if is_shown(each.event)]
        evidence = [_measured(each) for each in found if not rests_on_mark(each, self._profile)]
        estimate = estimate_clock([each.sent for each in shown], evidence)
        if estimate.is_known or not self.clock.is_known:
            self.clock = estimate
        if len(shown) >= FIVE:
            self.errors.append(
                abs(self.clock.offset + self._feed.delay) if self.clock.is_known else None
            )
        return _markers(sent, self.clock, now)


def at_face_value(feed: ScriptedFeed, profile: GameProfile) -> FollowedFeed:
    """Return a feed whose time stamps are believed, and whose moves of odds make moments."""
    return _BelievedFeed(feed, profile)


class _BelievedFeed(FollowedFeed):
    def __call__(
        self,
        now: float,
        found: Sequence[HighlightCandidate],  # noqa: ARG002
    ) -> Sequence[TimedMetadata]:
        clock = FeedClock(source=ClockSource.SET, offset=0.0, error=_FACE_VALUE_ERROR)
        sent = [each for each in self._feed.events if each.sent <= now]
        if sum(is_shown(each.event) for each in sent) >= FIVE:
            self.errors.append(abs(self._feed.delay))
        return [
            marker.model_copy(update={"feed": marker.feed.model_copy(update={"hint": False})})
            for marker in _markers(sent, clock, now)
            if marker.feed is not None
        ]


def _markers(sent: Sequence[ScriptedEvent], clock: FeedClock, now: float) -> list[TimedMetadata]:
    placed = [(each, each.sent + clock.offset) for each in sent]
    found = [
        marker_of(each.event, each.id, FeedPlace(max(0.0, at), clock.error))
        for each, at in placed
        if at >= now - _REMEMBERED
    ]
    return [marker for marker in found if marker is not None]


def _measured(candidate: HighlightCandidate) -> MeasuredMoment:
    state = candidate.state
    changed = state is not None and state.score_before != state.score_after
    return MeasuredMoment.of(candidate.peak, score_changed=changed)


def _event(name: str, sent: float, label: str) -> ScriptedEvent:
    return _scripted(name, sent, {"kind": "custom", "label": label or "moment"})


def _move(name: str, sent: float, factor: float) -> ScriptedEvent:
    odds = {"before": 2.4, "after": round(1.0 + 1.4 / factor, 2), "seconds": 3.0}
    return _scripted(name, sent, {"kind": "odds", "market": "next goal", "odds": odds})


def _scripted(name: str, sent: float, fields: dict[str, object]) -> ScriptedEvent:
    at = {"media": max(0.0, sent)}
    event = FeedEvent.model_validate({"id": name, "at": at, **fields})
    return ScriptedEvent(uuid5(_NAMESPACE, f"{name}/{sent}"), max(0.0, sent), event)
