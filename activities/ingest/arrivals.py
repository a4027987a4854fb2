"""What a follower hands over: segments on their way, and segments that are lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from activities.ingest.fetcher import Fetched, Lost
from domain.media import GapReason
from domain.playlist import ListedSegment


@dataclass(frozen=True)
class SegmentArrival:
    """A new segment; awaiting `outcome` gives its media, or why it could not be had."""

    listed: ListedSegment
    published_at: datetime
    restarted: bool
    outcome: asyncio.Task[Fetched | Lost]


@dataclass(frozen=True)
class LossArrival:
    """Segments that are lost without a try; `duration` is an estimate in seconds.

    `listed` is the segment, where the playlist lists it.
    """

    first_sequence: int
    last_sequence: int
    duration: float
    reason: GapReason
    detail: str
    published_at: datetime
    listed: ListedSegment | None = None


Arrival = SegmentArrival | LossArrival


def absence(first: int, *, duration: float, typical: float) -> LossArrival:
    """Return what was missed while the playlist was not read, as far as it is known.

    Args:
        first: number of the first segment missed.
        duration: seconds missed.
        typical: seconds of a usual segment.
    """
    segments = max(1, round(duration / max(typical, 0.5)))
    return LossArrival(
        first_sequence=first,
        last_sequence=first + segments - 1,
        duration=duration,
        reason=GapReason.ROLLED_OFF,
        detail="was published while the service did not follow the stream",
        published_at=datetime.now(UTC),
    )


async def discard(arrival: SegmentArrival) -> None:
    """Remove what a segment's fetch has left, or will have."""
    with suppress(asyncio.CancelledError, Exception):
        outcome = await arrival.outcome
        if isinstance(outcome, Fetched) and outcome.file is not None:
            await asyncio.to_thread(Path.unlink, outcome.file, missing_ok=True)
