"""Old records go, tenant by tenant and batch by batch; young ones and sums stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update
from temporalio.testing import ActivityEnvironment

from activities.maintenance import MaintenanceActivities
from domain.expiry import ExpireRecordsInput, ExpireRecordsResult, RecordKind
from domain.selection import DecisionStatus
from domain.usage import UsageKind, usage_event
from infra.database import Database
from infra.repositories import highlights, idempotency, usage
from infra.schema import Base, EventRow, Highlight, IdempotencyKey, UsageEventRow
from tests.integration.rows import new_highlight, new_stream, used

OLD = datetime.now(UTC) - timedelta(days=400)


async def expire(database: Database, *, batch: int = 1000) -> ExpireRecordsResult:
    result: ExpireRecordsResult = await ActivityEnvironment().run(
        MaintenanceActivities(database).expire_records, ExpireRecordsInput(batch=batch)
    )
    return result


async def use(database: Database, tenant: UUID, count: int, *, at: datetime | None) -> None:
    events = [
        usage_event(UsageKind.CLIP_RENDERED, 1, subject=str(uuid4()), at=at) for _ in range(count)
    ]
    async with database.session(tenant) as session:
        await usage.meter(session, tenant_id=tenant, events=events)


async def claim(database: Database, tenant: UUID, key: str) -> None:
    async with database.session(tenant) as session:
        await idempotency.claim(
            session,
            tenant_id=tenant,
            key=key,
            request_hash=b"x",
            resource_id=uuid4(),
            lease=timedelta(seconds=30),
        )


async def count(database: Database, tenant: UUID, table: type[Base]) -> int:
    async with database.session(tenant) as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def age(database: Database, tenant: UUID, table: type[Base], **key: object) -> None:
    async with database.session(tenant) as session:
        await session.execute(update(table).filter_by(**key).values(created_at=OLD))


async def test_old_usage_events_go_in_batches_and_their_sums_stay(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    for each in (tenant, other_tenant):
        await use(database, each, 5, at=OLD)
        await use(database, each, 1, at=None)
    result = await expire(database, batch=2)
    assert result.deleted[RecordKind.USAGE_EVENTS] >= 10
    assert result.tenants >= 2
    for each in (tenant, other_tenant):
        assert await count(database, each, UsageEventRow) == 1
        assert await used(database, each) == {"clip_rendered": 6}


async def test_old_idempotency_keys_go(database: Database, tenant: UUID) -> None:
    for key in ("old", "young"):
        await claim(database, tenant, key)
    await age(database, tenant, IdempotencyKey, key="old")
    await expire(database)
    assert await count(database, tenant, IdempotencyKey) == 1


async def test_old_events_go(database: Database, tenant: UUID) -> None:
    stream = await new_stream(database, tenant)
    await new_highlight(database, tenant, stream)
    assert await count(database, tenant, EventRow) == 1
    await age(database, tenant, EventRow)
    await expire(database)
    assert await count(database, tenant, EventRow) == 0


@pytest.mark.parametrize(
    ("status", "goes"),
    [
        (DecisionStatus.REJECTED, True),
        (DecisionStatus.HELD, True),
        (DecisionStatus.CONFIRMED, False),
        (DecisionStatus.RETRACTED, False),
    ],
)
async def test_only_highlights_that_were_never_shown_go(
    database: Database, tenant: UUID, status: DecisionStatus, *, goes: bool
) -> None:
    stream = await new_stream(database, tenant)
    old = await new_highlight(database, tenant, stream, peak=10.0, status=status)
    young = await new_highlight(database, tenant, stream, peak=20.0, status=status)
    await age(database, tenant, Highlight, id=old)
    await expire(database)
    async with database.session(tenant) as session:
        found = await highlights.get_many(session, tenant_id=tenant, highlight_ids=[old, young])
    assert set(found) == ({young} if goes else {old, young})


async def test_a_second_round_finds_nothing(database: Database, tenant: UUID) -> None:
    await use(database, tenant, 1, at=OLD)
    await expire(database)
    assert set((await expire(database)).deleted.values()) == {0}
