"""Deadlines that measure a server and not this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

HARD_LIMIT: Final = 8
"""Multiple of the deadline after which waiting ends, however busy the event loop is."""

_SLICES: Final = 20
# A slice that took longer than this many times its length was spent on other work of the loop.
_LAG: Final = 1.5


async def within(work: Awaitable[T], seconds: float) -> T:
    """Await `work` for `seconds` in which the event loop was free to notice that it has ended.

    A plain timeout counts the loop's own lag: a reply that has long arrived is given up because
    the process was busy. Here the wait is divided into slices, and a slice that ended late does
    not count.

    Raises:
        TimeoutError: it has not ended; it is cancelled.
    """
    task = asyncio.ensure_future(work)
    clock = asyncio.get_running_loop().time
    began, counted, length = clock(), 0.0, seconds / _SLICES
    try:
        while True:
            start = clock()
            done, _ = await asyncio.wait((task,), timeout=length)
            if done:
                return task.result()
            took = clock() - start
            if took <= length * _LAG:
                counted += took
            if counted >= seconds or clock() - began >= seconds * HARD_LIMIT:
                raise TimeoutError
    finally:
        if not task.done():
            task.add_done_callback(_discard)
            task.cancel()


def _discard(task: asyncio.Future[T]) -> None:
    """Retrieve the exception of abandoned work, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()
