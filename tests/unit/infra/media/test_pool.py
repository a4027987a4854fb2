"""The pool of media children: results, limits, crashes and clean-up."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from infra.media.pool import MediaCrashed, MediaPool, MediaTimeout


class UnpicklableError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("needs two arguments, keeps one")
        self.total = one + two


def double(value: int) -> int:
    return value * 2


def child_pid(_: int) -> int:
    return os.getpid()


def niceness(_: int) -> int:
    return os.nice(0)


def refuse(message: str) -> None:
    raise ValueError(message)


def raise_unpicklable(_: int) -> None:
    raise UnpicklableError(1, 2)


def crash(number: int) -> None:
    os.kill(os.getpid(), number)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def spin(_: int) -> None:
    while True:
        pass


def allocate(size: int) -> int:
    return len(bytearray(size))


def announce_and_sleep(path: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123 a child with nothing but the path
        file.write(str(os.getpid()))
    time.sleep(60)


@pytest.fixture
async def pool() -> AsyncIterator[MediaPool]:
    async with MediaPool(processes=1, memory_bytes=1 << 30, cpu_seconds=1, timeout=60.0) as pool:
        yield pool


async def test_returns_what_the_function_returns(pool: MediaPool) -> None:
    assert await pool.run(double, 21) == 42


async def test_raises_what_the_function_raises(pool: MediaPool) -> None:
    with pytest.raises(ValueError, match="not today"):
        await pool.run(refuse, "not today")


async def test_an_error_that_cannot_travel_arrives_as_its_message(pool: MediaPool) -> None:
    with pytest.raises(RuntimeError, match="UnpicklableError: needs two arguments"):
        await pool.run(raise_unpicklable, 0)
    assert await pool.run(double, 1) == 2


async def test_children_yield_the_processor_as_the_pool_says() -> None:
    async with MediaPool(
        processes=1, memory_bytes=1 << 30, cpu_seconds=1, timeout=60.0, niceness=3
    ) as pool:
        assert await pool.run(niceness, 0) == os.nice(0) + 3


async def test_a_crash_costs_its_own_task_only(pool: MediaPool) -> None:
    with pytest.raises(MediaCrashed):
        await pool.run(crash, signal.SIGSEGV)
    assert await pool.run(double, 2) == 4


async def test_a_crash_disturbs_no_other_task() -> None:
    async with MediaPool(processes=2, memory_bytes=1 << 30, cpu_seconds=1, timeout=60.0) as pool:
        assert [*await asyncio.gather(pool.run(double, 1), pool.run(double, 2))] == [2, 4]
        beside = asyncio.create_task(pool.run(sleep, 2.0))
        crashing = [asyncio.create_task(pool.run(crash, signal.SIGSEGV)) for _ in range(3)]
        waiting = [asyncio.create_task(pool.run(double, number)) for number in range(3)]
        ended = await asyncio.gather(*crashing, return_exceptions=True)
        assert [type(each) for each in ended] == [MediaCrashed] * 3
        assert await asyncio.gather(*waiting) == [0, 2, 4]
        await beside


@pytest.mark.parametrize("hour", [3600.0, -3600.0])
async def test_a_clock_that_jumps_changes_no_limit(
    monkeypatch: pytest.MonkeyPatch, hour: float
) -> None:
    wall_clock = time.time
    async with MediaPool(processes=1, memory_bytes=1 << 30, cpu_seconds=1, timeout=2.0) as pool:
        await pool.run(double, 1)
        for seconds, is_late in ((1.0, False), (60.0, True)):
            task = asyncio.create_task(pool.run(sleep, seconds))
            await asyncio.sleep(0.5)
            monkeypatch.setattr(time, "time", lambda: wall_clock() + hour)
            ended = (await asyncio.gather(task, return_exceptions=True))[0]
            assert isinstance(ended, MediaTimeout) is is_late
            monkeypatch.setattr(time, "time", wall_clock)


async def test_wall_time_is_bounded() -> None:
    async with MediaPool(processes=1, memory_bytes=1 << 30, cpu_seconds=1, timeout=0.2) as pool:
        with pytest.raises(MediaTimeout):
            await pool.run(sleep, 60.0)
        assert await pool.run(double, 3) == 6


async def test_cpu_time_is_bounded_for_each_task_and_not_for_all_together(pool: MediaPool) -> None:
    for _ in range(2):
        with pytest.raises(MediaTimeout, match="CPU"):
            await pool.run(spin, 0)
    assert await pool.run(double, 4) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS binds on Linux only")
async def test_memory_is_bounded(pool: MediaPool) -> None:
    with pytest.raises(MediaCrashed, match="memory"):
        await pool.run(allocate, 2 << 30)
    assert await pool.run(allocate, 1 << 20) == 1 << 20


async def test_an_idle_child_that_is_killed_is_replaced(pool: MediaPool) -> None:
    victim = psutil.Process(await pool.run(child_pid, 0))
    victim.kill()
    await asyncio.to_thread(psutil.wait_procs, [victim])
    successor = None
    for _ in range(100):
        try:
            successor = await pool.run(child_pid, 0)
            break
        except MediaCrashed:
            continue
    assert successor not in {None, victim.pid}


async def test_cancelling_kills_the_child_at_work(pool: MediaPool, tmp_path: object) -> None:
    path = f"{tmp_path}/pid"
    task = asyncio.create_task(pool.run(announce_and_sleep, path))
    while not os.path.exists(path) or not (text := open(path).read()):  # noqa: ASYNC230, ASYNC240, PTH110, PTH123, SIM115, ASYNC110 polls a child
        await asyncio.sleep(0.01)
    child = psutil.Process(int(text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gone, alive = await asyncio.to_thread(psutil.wait_procs, [child], 10)
    assert gone
    assert not alive


async def test_closing_cancels_what_is_under_way() -> None:
    pool = MediaPool(processes=1, memory_bytes=1 << 30, cpu_seconds=1, timeout=60.0)
    await pool.run(double, 1)
    tasks = [asyncio.create_task(pool.run(sleep, 60.0)) for _ in range(2)]
    await asyncio.sleep(0)
    await pool.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def test_closing_leaves_no_child() -> None:
    pool = MediaPool(processes=2, memory_bytes=1 << 30, cpu_seconds=1, timeout=5.0)
    child = psutil.Process(await pool.run(child_pid, 0))
    await pool.close()
    await pool.close()
    assert not child.is_running()
