"""Heartbeats during an activity, so that a dead worker is detected within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from temporalio import activity

INTERVAL: Final = 1.0
"""Seconds between heartbeats; the SDK throttles what it sends to the server."""


@asynccontextmanager
async def heartbeating(
    details: Callable[[], object] | None = None, *, interval: float = INTERVAL
) -> AsyncIterator[None]:
    """Send heartbeats from a background task until the block ends.

    Args:
        details: returns the details of each heartbeat, from which a later attempt continues.
        interval: seconds between heartbeats.
    """

    async def beat() -> None:
        while True:
            activity.heartbeat(*(() if details is None else (details(),)))
            await asyncio.sleep(interval)

    task = asyncio.create_task(beat(), name="heartbeat")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
