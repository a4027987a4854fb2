"""Deleting an endpoint and attempting its deliveries wait for each other in one order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.engine import Database
from infra.db.repositories import deliveries, endpoints
from infra.db.repositories.deliveries import Attempt
from tests.factories.rows import new_delivery, new_endpoint

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


async def take(session: AsyncSession, tenant: UUID, delivery: UUID) -> bool:
    parcel = await deliveries.claim(session, tenant_id=tenant, delivery_id=delivery, now=NOON)
    return parcel is not None


async def record(session: AsyncSession, tenant: UUID, delivery: UUID) -> bool:
    recorded = await deliveries.record_attempt(
        session,
        Attempt(at=NOON, duration=0.1, succeeded=True, status_code=200),
        tenant_id=tenant,
        delivery_id=delivery,
        next_attempt_at=None,
    )
    return recorded.disabled


async def until_it_waits(session: AsyncSession, pid: int) -> None:
    """Return when a server process waits for a lock."""
    waiting = text("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = :pid AND NOT granted)")
    while not await session.scalar(waiting, {"pid": pid}):
        await session.execute(text("SELECT pg_sleep(0.01)"))


@pytest.mark.parametrize("step", [take, record])
async def test_an_endpoint_is_deleted_while_a_delivery_of_it_waits(
    database: Database, tenant: UUID, step: Callable[[AsyncSession, UUID, UUID], Awaitable[bool]]
) -> None:
    """PostgreSQL ends one of two that wait for each other: here nobody is ended."""
    endpoint = await new_endpoint(database, tenant)
    delivery = await new_delivery(database, tenant, endpoint)
    async with database.session(tenant) as attempting:
        pid = await attempting.scalar(text("SELECT pg_backend_pid()"))
        async with database.session(tenant) as deleting:
            await endpoints.lock(deleting, tenant_id=tenant, endpoint_id=endpoint)
            attempt = asyncio.ensure_future(step(attempting, tenant, delivery))
            async with asyncio.timeout(30):
                await until_it_waits(deleting, pid)
            assert await endpoints.delete(deleting, tenant_id=tenant, endpoint_id=endpoint)
        assert not await attempt
