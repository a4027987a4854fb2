"""A deadline counts the time of what is waited for, and not the event loop's own lag."""

from __future__ import annotations

import asyncio
import time

import pytest

from infra.rate_limit import within


async def _answer(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "answer"


async def test_what_comes_in_time_is_returned() -> None:
    assert await within(_answer(0.0), 5.0) == "answer"


async def test_what_does_not_come_is_given_up_and_cancelled() -> None:
    task = asyncio.ensure_future(_answer(60.0))
    with pytest.raises(TimeoutError):
        await within(task, 0.05)
    await asyncio.wait({task})
    assert task.cancelled()


async def test_errors_of_what_is_waited_for_are_raised() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await within(fail(), 5.0)


async def test_a_blocked_loop_uses_up_no_time() -> None:
    waiting = asyncio.create_task(within(_answer(0.1), 0.2))
    await asyncio.sleep(0)
    for _ in range(3):
        time.sleep(0.3)  # noqa: ASYNC251 - this is what is tested
        await asyncio.sleep(0)
    assert await waiting == "answer"


async def test_but_not_without_limit() -> None:
    began = time.monotonic()
    waiting = asyncio.create_task(within(_answer(3600.0), 0.05))
    while not waiting.done():
        time.sleep(0.05)  # noqa: ASYNC251 - this is what is tested
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await waiting
    assert time.monotonic() - began >= 0.05
