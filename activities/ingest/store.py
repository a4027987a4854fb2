"""Retried writes to the segment store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from domain.streams.status import ProblemCode, StreamProblem
from infra.storage.segments import (
    SegmentStore,
    StoreError,
    StoreFullError,
    store_error,
)

T = TypeVar("T")


_CODES: Final = frozenset({ProblemCode.STORE_FULL, ProblemCode.STORE_UNAVAILABLE})


_FIRST_DELAY: Final = 0.2


_LONGEST_DELAY: Final = 2.0


_log = structlog.get_logger(__name__)


class StoreGuard:
    """Retries writes that the store refuses, and frees space in a full store.

    Args:
        store: the store.
        problem: the store's problem that was reported last, if any.

    Attributes:
        problem: current problem of the store; None after a successful write.
    """

    def __init__(self, store: SegmentStore, *, problem: StreamProblem | None = None) -> None:
        self._store = store
        is_ours = problem is not None and problem.code in _CODES
        self.problem = problem if is_ours else None

    async def run(
        self,
        write: Callable[[], Awaitable[T]],
        *,
        still_wanted: Callable[[], bool],
        on_refusal: Callable[[StoreError], None] | None = None,
        is_written: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """Run a step that writes to the store until it succeeds.

        Args:
            write: the step; it may run many times.
            still_wanted: returns True while the step is worth another attempt.
            on_refusal: called for each refusal.
            is_written: returns True if the result proves a successful write.

        Raises:
            StoreError: the store refused until the step was no longer wanted.
        """
        delay = _FIRST_DELAY
        while True:
            try:
                result = await write()
            except (StoreError, OSError) as error:
                failure = store_error(error)
                if failure is None:  # a fault of the network, say
                    raise
                await self._note(failure, cause=error)
                if on_refusal is not None:
                    on_refusal(failure)
                if not still_wanted():
                    raise failure from error
            else:
                if is_written(result):
                    self.problem = None
                return result
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _note(self, failure: StoreError, *, cause: Exception) -> None:
        code = ProblemCode.STORE_UNAVAILABLE
        if isinstance(failure, StoreFullError):
            code = ProblemCode.STORE_FULL
            try:
                await self._store.shed()
            except OSError:
                _log.exception("store_not_shed")
        if self.problem is None or self.problem.code is not code:
            _log.warning("store_refuses", code=code.value, cause=str(cause))
        self.problem = StreamProblem(code=code, message=str(failure))
