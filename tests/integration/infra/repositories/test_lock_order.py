"""Whoever locks several deliveries does so in one order, so that nobody is ended by a deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import delivery_id
from domain.tenants.retention import RecordKind
from domain.webhooks.events import DeliveryStatus
from infra.db.engine import Database
from infra.db.repositories import deliveries, endpoints, events, tenants
from infra.db.tables import Delivery, EventRow
from tests.factories.rows import new_endpoint, usage_event
from tests.integration.infra.repositories.test_delivery_locks import until_it_waits

Step = Callable[[AsyncSession, UUID, UUID], Awaitable[Any]]


async def mark_queued(session: AsyncSession, tenant: UUID, _endpoint: UUID) -> None:
    waiting = await deliveries.unqueued(session, tenant_id=tenant)
    await deliveries.mark_queued(session, tenant_id=tenant, deliveries=waiting)


async def delete(session: AsyncSession, tenant: UUID, endpoint: UUID) -> None:
    assert await endpoints.delete(session, tenant_id=tenant, endpoint_id=endpoint)


async def expire(session: AsyncSession, tenant: UUID, _endpoint: UUID) -> int:
    return await tenants.delete_expired(
        session, tenant_id=tenant, kind=RecordKind.EVENTS, age=timedelta(days=-1), limit=100
    )


async def replay(session: AsyncSession, tenant: UUID, endpoint: UUID) -> int:
    found = await endpoints.lock(session, tenant_id=tenant, endpoint_id=endpoint)
    assert found is not None
    now = datetime.now(UTC)
    day = timedelta(days=1)
    return await deliveries.replay(
        session, endpoint=found, since=now - day, until=now + day, types=(), limit=100
    )


async def written(database: Database, tenant: UUID, endpoint: UUID, count: int) -> list[UUID]:
    """Failed deliveries that lie in the table in the order that is the wrong one; highest first."""
    told = [usage_event(tenant, subject=f"usage/{number}") for number in range(count)]
    told.sort(key=lambda each: delivery_id(endpoint_id=endpoint, event=each.id), reverse=True)
    made = []
    for each in told:
        async with database.session(tenant) as session:
            row = await deliveries.send_to_one(session, each, endpoint_id=endpoint)
        made.append(row.id)
    return made


async def set_status(database: Database, tenant: UUID, status: DeliveryStatus) -> None:
    async with database.session(tenant) as session:
        await session.execute(update(Delivery).values(status=status.value))


async def lock(session: AsyncSession, tenant: UUID, *ids: UUID) -> None:
    for each in ids:
        await session.execute(
            select(Delivery.id)
            .where(Delivery.tenant_id == tenant, Delivery.id == each)
            .with_for_update()
        )


async def meet(
    database: Database, tenant: UUID, endpoint: UUID, step: Step, holder: AsyncSession
) -> asyncio.Task[None]:
    """Begin a step in a session of its own; return when it waits for the holder."""
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def go() -> None:
        async with database.session(tenant) as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            # As they lie in the table, where no index happens to give them in order.
            await session.execute(text("SET LOCAL enable_indexscan = off"))
            await session.execute(text("SET LOCAL enable_bitmapscan = off"))
            started.set_result(int(pid or 0))
            await step(session, tenant, endpoint)

    task = asyncio.create_task(go())
    async with asyncio.timeout(30):
        await until_it_waits(holder, await started)
    return task


@pytest.mark.parametrize(
    ("step", "status"),
    [
        (mark_queued, DeliveryStatus.PENDING),
        (delete, DeliveryStatus.PENDING),
        (expire, DeliveryStatus.PENDING),
        (replay, DeliveryStatus.FAILED),
    ],
)
async def test_who_waits_for_the_first_delivery_holds_none_of_the_others(
    database: Database, tenant: UUID, step: Step, status: DeliveryStatus
) -> None:
    endpoint = await new_endpoint(database, tenant)
    ids = await written(database, tenant, endpoint, 6)
    await set_status(database, tenant, status)
    first, *others = sorted(ids)
    async with database.session(tenant) as holder:
        await lock(holder, tenant, first)
        waiting = await meet(database, tenant, endpoint, step, holder)
        # PostgreSQL would end one of the two here, if the step held one of these already.
        await lock(holder, tenant, *others)
    await waiting


async def test_who_replays_waits_for_events_before_it_holds_a_delivery(
    database: Database, tenant: UUID
) -> None:
    endpoint = await new_endpoint(database, tenant)
    ids = await written(database, tenant, endpoint, 3)
    await set_status(database, tenant, DeliveryStatus.FAILED)
    async with database.session(tenant) as session:
        await events.append(session, usage_event(tenant, subject="usage/never-delivered"))
    async with database.session(tenant) as holder:
        await holder.execute(
            select(EventRow.id).where(EventRow.tenant_id == tenant).with_for_update()
        )
        waiting = await meet(database, tenant, endpoint, replay, holder)
        await lock(holder, tenant, *ids)
    await waiting


async def test_an_event_that_is_deleted_meanwhile_is_not_replayed(
    database: Database, tenant: UUID
) -> None:
    endpoint = await new_endpoint(database, tenant)
    await written(database, tenant, endpoint, 3)
    async with database.session(tenant) as holder:
        assert await expire(holder, tenant, endpoint) == 3
        waiting = await meet(database, tenant, endpoint, replay, holder)
    await waiting
    async with database.session(tenant) as session:
        assert list(await session.scalars(select(Delivery.id))) == []


async def test_expiry_leaves_what_is_held_to_the_next_round(
    database: Database, tenant: UUID
) -> None:
    endpoint = await new_endpoint(database, tenant)
    await written(database, tenant, endpoint, 3)
    async with database.session(tenant) as holder, database.session(tenant) as session:
        assert len(await events.undispatched(holder, tenant_id=tenant)) == 0
        await holder.execute(
            select(EventRow.id).where(EventRow.tenant_id == tenant).limit(1).with_for_update()
        )
        assert await expire(session, tenant, endpoint) == 2
    async with database.session(tenant) as session:
        assert await expire(session, tenant, endpoint) == 1
