"""Requests are counted without waiting, and written once, however often that is tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.services.usage import RequestMeter
from infra.db.engine import Database, DatabaseUnavailableError
from tests.factories.rows import new_tenant, used

NEVER = 300.0


class Away(Database):
    """A database that, for so many sessions, is gone before they commit, or just after."""

    def __init__(self, real: Database, *, times: int, after_commit: bool = False) -> None:
        self._real = real
        self.times = times
        self._after_commit = after_commit

    @asynccontextmanager
    async def session(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        away, self.times = self.times > 0, self.times - 1
        if away and not self._after_commit:
            raise DatabaseUnavailableError("away")
        async with self._real.session(tenant_id) as session:
            yield session
        if away:
            raise DatabaseUnavailableError("the answer was lost")


async def test_requests_are_written_by_tenant(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    meter = RequestMeter(database, interval=NEVER)
    for each in (tenant, other_tenant, tenant):
        meter.count(each)
    assert await used(database, tenant) == {}
    await meter.flush()
    await meter.flush()
    assert await used(database, tenant) == {"api_request": 2}
    assert await used(database, other_tenant) == {"api_request": 1}


async def test_later_requests_are_added(database: Database, tenant: UUID) -> None:
    meter = RequestMeter(database, interval=NEVER)
    for _ in range(3):
        meter.count(tenant)
        await meter.flush()
    assert await used(database, tenant) == {"api_request": 3}


async def test_two_processes_count_beside_each_other(database: Database, tenant: UUID) -> None:
    for _ in range(2):
        meter = RequestMeter(database, interval=NEVER)
        meter.count(tenant)
        await meter.flush()
    assert await used(database, tenant) == {"api_request": 2}


async def test_a_flush_whose_answer_was_lost_counts_once(database: Database, tenant: UUID) -> None:
    meter = RequestMeter(Away(database, times=1, after_commit=True), interval=NEVER)
    meter.count(tenant)
    await meter.flush()
    meter.count(tenant)
    await meter.flush()  # writes the first again, and takes the second
    await meter.flush()
    assert await used(database, tenant) == {"api_request": 2}


async def test_while_the_database_is_away_requests_are_kept(
    database: Database, tenant: UUID
) -> None:
    meter = RequestMeter(Away(database, times=5), interval=NEVER)
    for _ in range(5):
        meter.count(tenant)
        await meter.flush()
    assert await used(database, tenant) == {}
    for _ in range(2):
        await meter.flush()
    assert await used(database, tenant) == {"api_request": 5}


async def test_memory_is_bounded_by_a_number_of_tenants(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    meter = RequestMeter(database, interval=NEVER, capacity=1)
    for each in (tenant, other_tenant, tenant):
        meter.count(each)
    await meter.flush()
    assert await used(database, tenant) == {"api_request": 2}
    assert await used(database, other_tenant) == {}
    meter.count(other_tenant)
    await meter.flush()
    assert await used(database, other_tenant) == {"api_request": 1}


async def test_memory_is_bounded_while_the_database_is_away_too(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    meter = RequestMeter(Away(database, times=3), interval=NEVER, capacity=1)
    for each in (tenant, other_tenant, tenant):
        meter.count(each)  # the last finds no place
        await meter.flush()
    assert (len(meter._taken), len(meter._counts)) == (1, 1)
    for _ in range(2):
        await meter.flush()
    assert await used(database, tenant) == {"api_request": 1}
    assert await used(database, other_tenant) == {"api_request": 1}


async def test_a_deleted_tenant_does_not_block_others(database: Database, tenant: UUID) -> None:
    meter = RequestMeter(database, interval=NEVER)
    for each in (uuid4(), tenant):
        meter.count(each)
    await meter.flush()
    assert await used(database, tenant) == {"api_request": 1}


async def test_it_flushes_periodically(database: Database) -> None:
    tenant = await new_tenant(database)
    meter = RequestMeter(database, interval=0.01)
    running = asyncio.create_task(meter.run())
    meter.count(tenant)
    async with asyncio.timeout(60):
        while not await used(database, tenant):
            pass
    running.cancel()
    await asyncio.wait([running])
    assert await used(database, tenant) == {"api_request": 1}


@pytest.mark.parametrize("started", [False, True])
async def test_what_is_stopped_writes_what_it_has_counted(
    database: Database, tenant: UUID, *, started: bool
) -> None:
    meter = RequestMeter(database, interval=NEVER)
    meter.count(tenant)
    running = asyncio.create_task(meter.run())
    await asyncio.sleep(0)
    if started:
        meter.count(tenant)
    running.cancel()
    await asyncio.wait([running])
    assert await used(database, tenant) == {"api_request": 2 if started else 1}
