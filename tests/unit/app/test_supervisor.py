"""Supervision: what dies is started again, ever more slowly, until stopped."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from app.dev import supervisor
from app.dev.supervisor import Supervised
from infra.child_process import ChildProcess
from infra.errors import StartFailedError


async def while_kept(service: Supervised, body: Callable[[], Awaitable[None]]) -> None:
    keeping = asyncio.create_task(service.keep_running())
    try:
        async with asyncio.timeout(20):
            await body()
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await service.stop()


async def test_a_killed_service_is_restarted_and_reported(tmp_path: Path) -> None:
    restarted = asyncio.Event()
    service = Supervised(
        "sleeper",
        lambda: ChildProcess(["sleep", "60"], log=tmp_path / "log"),
        on_restart=restarted.set,
        first_delay=0.001,
    )
    first = service.pid

    async def kill() -> None:
        os.kill(first, signal.SIGKILL)
        await restarted.wait()

    await while_kept(service, kill)
    assert service.pid != first


async def test_one_that_keeps_dying_is_tried_again_and_again(tmp_path: Path) -> None:
    starts = asyncio.Semaphore(0)
    service = Supervised(
        "failing",
        lambda: ChildProcess(["false"], log=tmp_path / "log"),
        on_restart=starts.release,
        first_delay=0.001,
    )

    async def three_restarts() -> None:
        for _ in range(3):
            await starts.acquire()

    await while_kept(service, three_restarts)


@pytest.mark.parametrize(
    "refusal",
    [
        StartFailedError("no.", remedy="none."),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("a fault of ours"),
    ],
    ids=["refused", "full disk", "fault"],
)
async def test_a_restart_that_cannot_be_made_is_tried_again(
    tmp_path: Path, refusal: Exception
) -> None:
    attempts: list[int] = []
    restarted = asyncio.Event()

    def start() -> ChildProcess:
        attempts.append(len(attempts))
        if len(attempts) == 2:
            raise refusal
        return ChildProcess(["true" if len(attempts) == 1 else "cat"], log=tmp_path / "log")

    service = Supervised("moody", start, on_restart=restarted.set, first_delay=0.001)

    async def until_restarted() -> None:
        await restarted.wait()

    await while_kept(service, until_restarted)
    assert len(attempts) >= 3


async def test_one_that_dies_while_starting_is_reported_with_its_last_words(
    tmp_path: Path,
) -> None:
    child = ChildProcess(["sh", "-c", "echo bad configuration; exit 3"], log=tmp_path / "log")
    service = Supervised("worker", lambda: child)
    child.wait()
    with pytest.raises(StartFailedError, match="code 3 while starting: bad configuration"):
        service.require_running()


async def test_a_full_disk_costs_no_other_service(tmp_path: Path) -> None:
    """Neither the announcement nor our own log can be written; the service is back all the same."""
    back = asyncio.Event()

    def start() -> ChildProcess:
        child = ChildProcess(["cat"] if starts else ["true"], log=tmp_path / "log")
        if starts:
            back.set()
        starts.append(child.pid)
        return child

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    starts: list[int] = []
    service = Supervised("worker", start, on_restart=full, first_delay=0.001)

    async def until_back() -> None:
        await back.wait()
        await asyncio.sleep(0.3)  # two more rounds of the loop
        assert service.pid == starts[-1]
        assert not keeping.done()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor.logger, "warning", full)
        keeping = asyncio.create_task(service.keep_running())
        async with asyncio.timeout(20):
            await until_back()
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
    await service.stop()
