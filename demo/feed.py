"""A feed of the demo's match: its moments, late or early by seconds that the service finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.truth import Span
from tldrtv_highlights import AsyncHighlightsClient
from tldrtv_highlights.models import FeedClock


class DelayedFeed:
    """Sends each moment of a match when it happened, and `delay` seconds later.

    Args:
        moments: of the match.
        delay: seconds; negative for a feed that is ahead of the picture.
        live_at: returns the wall clock at which a second of the match is live.
    """

    def __init__(
        self, moments: Sequence[Span], *, delay: float, live_at: Callable[[float], datetime]
    ) -> None:
        self._moments = moments
        self._delay = delay
        self._live_at = live_at

    async def send(self, api: AsyncHighlightsClient, stream_id: str) -> None:
        """Send all events, each at its time; a bet goes with each."""
        peaks = sorted((_peak(each), each.kind) for each in self._moments)
        for number, (peak, kind) in enumerate(peaks, start=1):
            at = self._live_at(peak) + timedelta(seconds=self._delay)
            await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
            event: dict[str, Any] = {
                "id": f"demo-{number}",
                "kind": "custom",
                "label": kind or "moment",
                "at": {"wall_clock": at.isoformat()},
                "subjects": [f"bet:{number}"],
            }
            await api.feed.send(stream_id, [event])

    async def linked(self, api: AsyncHighlightsClient, stream_id: str) -> str:
        """Return which clip the first linked bet has, in a sentence."""
        for number in range(1, len(self._moments) + 1):
            bet = f"bet:{number}"
            async for each in api.feed.highlights_of(bet):
                if each.stream_id == stream_id and each.clip is not None:
                    at = timedelta(seconds=round(each.peak))
                    return f"{bet} has a clip of the moment at {at}: {each.clip.url}"
        return "No bet has a clip."

    def verdict(self, clock: FeedClock) -> str:
        """Return what the service found out about the delay, in a sentence."""
        late = f"{abs(self._delay):.1f} s {'late' if self._delay >= 0 else 'early'}"
        if clock.source == "unknown":
            return f"The feed was {late}. Too few events agreed to find that out ({clock.pairs})."
        wrong = abs(clock.offset + self._delay)
        return (
            f"The feed was {late}. Its clock was estimated from {clock.pairs} events: offset "
            f"{clock.offset:+.1f} s, at most {clock.error:.1f} s wrong; it is {wrong:.1f} s wrong."
        )


def _peak(moment: Span) -> float:
    return (moment.start + moment.end) / 2 if moment.peak is None else moment.peak
