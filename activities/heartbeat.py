"""Heartbeats beside the work of an activity, so that a dead worker is noticed in seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from temporalio import activity

INTERVAL: Final = 1.0
"""Seconds between two heartbeats; the SDK holds back those that the server need not see."""


@asynccontextmanager
async def heartbeating(
    details: Callable[[], object] | None = None, *, interval: float = INTERVAL
) -> AsyncIterator[None]:
    """Send heartbeats from a task of its own until the block ends.

    Args:
        details: gives what each heartbeat carries, for a later attempt to go on from.
        interval: seconds between two heartbeats.
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
