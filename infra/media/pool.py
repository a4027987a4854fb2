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
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Final, Self, TypeVar, TypeVarTuple

import structlog
from pebble import ProcessExpired, ProcessPool

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = structlog.get_logger(__name__)

# A child is replaced after this many tasks, which bounds what a leak in a codec can add up to.
_TASKS_PER_CHILD: Final = 2_000

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
    """A bounded pool of child processes for work on untrusted media.

    One task runs in one child at a time; further tasks wait for a free child. Cancelling the
    awaiting task kills the child that works on it. Children die with this process, even when it
    is killed, and a pool that breaks is replaced at the next task.

    Args:
        processes: how many children, hence tasks at once.
        memory_bytes: address space of each child, in bytes (RLIMIT_AS).
        cpu_seconds: CPU seconds that one task may use (RLIMIT_CPU, re-armed for each task).
        timeout: wall seconds that one task may take, waiting for a child excluded.
    """

    def __init__(
        self, *, processes: int, memory_bytes: int, cpu_seconds: int, timeout: float
    ) -> None:
        self.processes = processes
        self._memory_bytes = memory_bytes
        self._cpu_seconds = cpu_seconds
        self._timeout = timeout
        self._pool: ProcessPool | None = None
        self._running: set[asyncio.Future[Any]] = set()
        self._lock = asyncio.Lock()

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` in a child and return its result.

        `fn` must be importable by name, its arguments and result picklable and small: pass paths,
        not media.

        Raises:
            MediaCrashed: the child died or ran out of memory.
            MediaTimeout: the task took longer than the pool allows.
            Exception: any exception that `fn` raised.
        """
        pool = await self._running_pool()
        try:
            scheduled = pool.schedule(
                _run_limited, args=(self._cpu_seconds, fn, args), timeout=self._timeout
            )
        except RuntimeError:  # broke since the check
            raise MediaCrashed("the pool of media processes broke and is being replaced") from None
        future: asyncio.Future[T] = asyncio.wrap_future(scheduled)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        try:
            return await future
        except FutureTimeoutError:
            raise MediaTimeout(f"took longer than {self._timeout:g} s") from None
        except ProcessExpired as error:
            if error.exitcode in _CPU_LIMIT_SIGNALS:
                raise MediaTimeout(f"used more than {self._cpu_seconds} s of CPU") from None
            raise MediaCrashed(f"the media process died (exit code {error.exitcode})") from None
        except BrokenProcessPool:
            raise MediaCrashed("the pool of media processes broke and is being replaced") from None
        except MemoryError:
            limit = self._memory_bytes >> 20
            raise MediaCrashed(f"needed more than {limit} MiB of memory") from None

    async def close(self) -> None:
        """Stop every child; tasks under way are cancelled. Closing twice is no error."""
        async with self._lock:
            pool, self._pool = self._pool, None
        for future in tuple(self._running):
            future.cancel()
        if pool is not None:
            await asyncio.to_thread(_stop, pool)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _running_pool(self) -> ProcessPool:
        async with self._lock:
            if self._pool is None or not self._pool.active:
                if self._pool is not None:
                    _log.warning("media_pool_replaced")
                    await asyncio.to_thread(_stop, self._pool)
                self._pool = await asyncio.to_thread(self._start)
            return self._pool

    def _start(self) -> ProcessPool:
        # Not fork: this process has threads, and a forked child would inherit their locks. Each
        # child comes from a clean server process that dies when our end of its pipe closes.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["av"])
        pool = ProcessPool(
            max_workers=self.processes,
            max_tasks=_TASKS_PER_CHILD,
            initializer=_confine,
            initargs=(self._memory_bytes,),
            context=context,
        )
        _ = pool.active  # starts the children now, off the event loop
        return pool


def _stop(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble annotates it in part
    pool.join()


def _confine(memory_bytes: int) -> None:
    """Set up a fresh child: it dies with its parent and cannot take the machine's memory."""
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
