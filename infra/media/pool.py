"""Child processes that isolate untrusted media.

Untrusted media can crash a decoder, exhaust memory or loop without end. All access to it runs here,
in one of a few long-lived children with limits on memory, CPU time and wall time, so that a bad
segment can cost no more than one task.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import multiprocessing
import os
import pickle
import resource
import signal
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Final, Self, TypeVar, TypeVarTuple

import structlog
from pebble import ProcessExpired, ProcessFuture, ProcessPool

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = structlog.get_logger(__name__)

# A child is replaced after this many tasks, which bounds what a leak in a codec can add up to.
_TASKS_PER_CHILD: Final = 2_000

# Seconds between two looks at whether a child has taken its task.
_START_CHECK: Final = 0.1

# prctl(2) PR_SET_PDEATHSIG: the signal a process gets when its parent dies.
_PR_SET_PDEATHSIG: Final = 1

_CPU_LIMIT_SIGNALS: Final = (-signal.SIGXCPU, 128 + signal.SIGXCPU)


class MediaError(Exception):
    """A child could not finish a task for reasons that lie in the media or its size."""


class MediaCrashed(MediaError):  # noqa: N818 names what happened
    """The child died or ran out of memory while it worked on the task."""


class MediaTimeout(MediaError):  # noqa: N818 names what happened
    """The task used up its wall time or its CPU time."""


class MediaPool:
    """A bounded set of child processes for work on untrusted media.

    One task runs in one child at a time; further tasks wait for a free child, oldest first.
    Cancelling the awaiting task kills the child that works on it. Children die with this process,
    even when it is killed.

    Each child is a separate pool. In a pool of several, pebble (5.2) cannot always say whose task
    a dead child worked on: it then fails all tasks, or lets that one hang until its timeout.

    Args:
        processes: how many children, hence tasks at once.
        memory_bytes: address space of each child, in bytes (RLIMIT_AS).
        cpu_seconds: CPU seconds that one task may use (RLIMIT_CPU, re-armed for each task).
        timeout: wall seconds that one task may take, waiting for a child excluded.
        niceness: of the children, beyond ours.
    """

    def __init__(
        self,
        *,
        processes: int,
        memory_bytes: int,
        cpu_seconds: int,
        timeout: float,
        niceness: int = 0,
    ) -> None:
        self.processes = processes
        self.niceness = niceness
        self._memory_bytes = memory_bytes
        self._cpu_seconds = cpu_seconds
        self._timeout = timeout
        self._children = [_Child(memory_bytes, niceness) for _ in range(processes)]
        self._free = list(self._children)
        self._waiting: deque[asyncio.Future[_Child]] = deque()
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` in a child and return its result.

        `fn` must be importable by name, its arguments and result picklable and small: pass paths,
        not media.

        Raises:
            MediaCrashed: the child died or ran out of memory.
            MediaTimeout: the task took longer than the pool allows.
            Exception: any exception that `fn` raised.
        """
        child = await self._take()
        try:
            pool = await child.running_pool()
            return await self._run(pool, fn, args)
        finally:
            self._give_back(child)

    async def _run(self, pool: ProcessPool, fn: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
        try:
            scheduled = pool.schedule(_run_limited, args=(self._cpu_seconds, fn, args))
        except RuntimeError:  # broke since the check
            raise MediaCrashed("the media process died while it was idle") from None
        future: asyncio.Future[T] = asyncio.wrap_future(scheduled)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        try:
            if not await self._ends_in_time(future, scheduled):
                raise MediaTimeout(f"took longer than {self._timeout:g} s")
            return await future
        except ProcessExpired as error:
            if error.exitcode in _CPU_LIMIT_SIGNALS:
                raise MediaTimeout(f"used more than {self._cpu_seconds} s of CPU") from None
            raise MediaCrashed(f"the media process died (exit code {error.exitcode})") from None
        except BrokenProcessPool:
            raise MediaCrashed("the media process died as it began") from None
        except MemoryError:
            limit = self._memory_bytes >> 20
            raise MediaCrashed(f"needed more than {limit} MiB of memory") from None
        finally:
            future.cancel()

    async def _ends_in_time(self, future: asyncio.Future[T], scheduled: ProcessFuture[T]) -> bool:
        """Wait for the end of a task, at most `timeout` from when its child took it.

        pebble measures timeouts by the wall clock: a clock set forward would end every task.
        """
        clock = asyncio.get_running_loop().time
        until = math.inf
        while not future.done() and clock() < until:
            if until == math.inf and scheduled.running():
                until = clock() + self._timeout
            pause = _START_CHECK if until == math.inf else until - clock()
            await asyncio.wait({future}, timeout=pause)
        return future.done()

    async def close(self) -> None:
        """Stop every child; tasks under way are cancelled. Closing twice is no error."""
        for future in (*self._waiting, *self._running):
            future.cancel()
        for child in self._children:
            await child.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _take(self) -> _Child:
        if self._free:
            return self._free.pop()
        waiter: asyncio.Future[_Child] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # given a child at the same moment
                self._give_back(waiter.result())
            raise

    def _give_back(self, child: _Child) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(child)
                return
        self._free.append(child)


class _Child:
    """One child process, replaced when it dies; used by one task at a time."""

    def __init__(self, memory_bytes: int, niceness: int) -> None:
        self._memory_bytes = memory_bytes
        self._niceness = niceness
        self._pool: ProcessPool | None = None

    async def running_pool(self) -> ProcessPool:
        """Return the pool of this one child, started if necessary."""
        if self._pool is None or not self._pool.active:
            if self._pool is not None:
                _log.warning("media_process_replaced")
                await self.stop()
            self._pool = await asyncio.to_thread(self._start)
        return self._pool

    async def stop(self) -> None:
        """Stop it; stopping twice is no error."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(_stop, pool)

    def _start(self) -> ProcessPool:
        # Not fork: this process has threads, and a forked child would inherit their locks. Each
        # child comes from a clean server process that dies when our end of its pipe closes.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["av"])
        pool = ProcessPool(
            max_workers=1,
            max_tasks=_TASKS_PER_CHILD,
            initializer=_confine,
            initargs=(self._memory_bytes, self._niceness),
            context=context,
        )
        _ = pool.active  # starts the child now, off the event loop
        return pool


def _stop(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble annotates it in part
    pool.join()


def _confine(memory_bytes: int, niceness: int) -> None:
    """Set up a fresh child: it dies with its parent and cannot take the machine's memory."""
    os.nice(niceness)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run_limited(cpu_seconds: int, fn: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
    """Run a task in the child with its own CPU limit.

    RLIMIT_CPU counts the whole life of a process, so the soft limit moves on with each task;
    reaching it raises SIGXCPU, whose default action ends the process.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = math.ceil(usage.ru_utime + usage.ru_stime)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + cpu_seconds, hard))
    try:
        return fn(*args)
    except MemoryError:
        raise
    except Exception as error:
        raise _portable(error) from error


def _portable(error: Exception) -> Exception:
    """Return an error that can be pickled; one that cannot would break the pool.

    `__cause__` is lost in transit, so the message must be complete.
    """
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 our own object, pickled a moment ago
    except Exception:  # noqa: BLE001 whatever an exception's own pickling does
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
