"""Turns: costly reads of one tenant at the same time, so that none waits for another's.

How many connections a tenant holds open.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from uuid import UUID

from api.errors.problems import RateLimitedProblem, TooManyConnectionsProblem

AT_A_TIME: Final = 4
"""Costly reads of one tenant that this process does at once, fewer than it has connections."""


MOST_WAITING: Final = 256
"""Further ones that wait, in order; what comes on top of these is refused."""


class Turns:
    """Lets each tenant do so much at a time; what is more waits for its own, not for others'."""

    def __init__(self, *, at_a_time: int = AT_A_TIME, most_waiting: int = MOST_WAITING) -> None:
        self._at_a_time = at_a_time
        self._most = at_a_time + most_waiting
        self._turns: dict[UUID, asyncio.Semaphore] = {}
        self._present: dict[UUID, int] = {}

    @asynccontextmanager
    async def turn(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Wait for a turn and hold it.

        Raises:
            RateLimitedProblem: too many wait already.
        """
        present = self._present.get(tenant_id, 0)
        if present >= self._most:
            raise RateLimitedProblem(
                f"{present} searches of yours wait for their turn. {RateLimitedProblem.advice}",
                retry_after=1,
            )
        self._present[tenant_id] = present + 1
        turns = self._turns.setdefault(tenant_id, asyncio.Semaphore(self._at_a_time))
        try:
            async with turns:
                yield
        finally:
            self._present[tenant_id] -= 1
            if not self._present[tenant_id]:
                del self._present[tenant_id], self._turns[tenant_id]


class EventConnections:
    """Counts the open connections of this process, so that no tenant takes them all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[UUID] = Counter()

    @contextmanager
    def one_more(self, tenant_id: UUID) -> Iterator[None]:
        """Hold one connection.

        Raises:
            TooManyConnectionsProblem: the tenant has as many as it may.
        """
        if self._open[tenant_id] >= self._limit:
            raise TooManyConnectionsProblem
        self._open[tenant_id] += 1
        try:
            yield
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]
