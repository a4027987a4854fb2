"""Turns of tenants, so that one with much or slow work delays no other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from uuid import UUID

import structlog

T = TypeVar("T")
_log = structlog.get_logger(__name__)

_AT_A_TIME: Final = 4  # each may hold a database connection
_LIMIT: Final = 15.0


async def for_each_tenant(
    tenants: Iterable[UUID],
    work: Callable[[UUID], Awaitable[T]],
    *,
    at_a_time: int = _AT_A_TIME,
    limit: float = _LIMIT,
) -> list[T]:
    """Do some work for each tenant, a few tenants concurrently; return the results in any order.

    A tenant whose work takes longer than `limit` seconds has no result: its work is cancelled, and
    a later pass continues it. A tenant whose work fails does not keep the others from theirs.

    Raises:
        Exception: the first failure, after the work of all tenants.
    """
    results: list[T] = []
    failures: list[Exception] = []
    waiting = iter(tenants)

    async def serve() -> None:
        for tenant_id in waiting:
            try:
                async with asyncio.timeout(limit) as allowed:
                    results.append(await work(tenant_id))
            except Exception as error:  # noqa: BLE001 raised below, after the other tenants
                if allowed.expired():
                    _log.warning("tenant_takes_long", tenant_id=str(tenant_id), seconds=limit)
                else:
                    failures.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_a_time):
            group.create_task(serve())
    if failures:
        raise failures[0]
    return results


class TenantTurns:
    """Slots that are given to waiting tenants in turn, whatever the number of their requests.

    Args:
        slots: how many are held at a time.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def slot(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Hold a slot while the context lasts; wait for it behind one request of each tenant."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(tenant_id)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, tenant_id: UUID) -> None:
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, deque()).append(given)
        try:
            await given
        except asyncio.CancelledError:
            if given.done() and not given.cancelled():  # given at the same time
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give a slot to the tenant that has waited longest since its last turn."""
        while self._waiting:
            tenant_id = next(iter(self._waiting))
            queue = self._waiting.pop(tenant_id)
            given = queue.popleft()
            if queue:
                self._waiting[tenant_id] = queue  # behind all others
            if not given.done():
                given.set_result(None)
                return
        self._free += 1
