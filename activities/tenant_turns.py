"""Work that is done for every tenant, so that a slow tenant delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
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
