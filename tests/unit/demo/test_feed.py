"""The demo's feed says how well its delay was found."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from demo.feed import DelayedFeed
from tldrtv_highlights.models import FeedClock


@pytest.mark.parametrize(
    ("delay", "clock", "words"),
    [
        (
            6.0,
            FeedClock(source="estimated", offset=-5.8, error=0.5, pairs=5),
            "offset -5.8 s, at most 0.5 s wrong; it is 0.2 s wrong.",
        ),
        (
            -3.0,
            FeedClock(source="unknown", offset=0.0, error=15.0, pairs=2),
            "The feed was 3.0 s early. Too few events agreed to find that out (2).",
        ),
    ],
)
def test_the_verdict_compares_the_delay_with_the_clock(
    delay: float, clock: FeedClock, words: str
) -> None:
    feed = DelayedFeed((), delay=delay, live_at=lambda _: datetime(2026, 5, 2, tzinfo=UTC))
    assert feed.verdict(clock).endswith(words)
