"""Old records go, tenant by tenant and batch by batch; young ones and sums stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import ProgrammingError
from temporalio.testing import ActivityEnvironment

from activities.maintenance import MaintenanceActivities
from domain.feed.models import FeedEvent
from domain.highlights.selection import DecisionStatus
from domain.tenants.audit import ActorKind, AuditAction
from domain.tenants.retention import (
    DAY,
    SHORTEST_AUDIT,
    ExpireRecordsInput,
    ExpireRecordsResult,
    RecordKind,
    RetentionPolicy,
)
from domain.tenants.usage import UsageKind, usage_event
from infra.db.engine import Database
from infra.db.repositories import highlights, idempotency, tenants, usage
from infra.db.repositories.feed import feed_events
from infra.db.tables import (
    AuditEntry,
    Base,
    BeamRow,
    ClosedSession,
    EventRow,
    EventSubject,
    FeedEventRow,
    Highlight,
    IdempotencyKey,
    InboundEvent,
    UsageEventRow,
)
from tests.factories.rows import new_connection, new_highlight, new_stream, used

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


async def test_old_events_of_feeds_go(database: Database, tenant: UUID) -> None:
    stream = await new_stream(database, tenant)
    event = FeedEvent.model_validate(
        {"id": "g1", "kind": "score", "at": {"media": 1.0}, "subjects": ["bet:1"]}
    )
    async with database.session(tenant) as session:
        await feed_events.put(session, tenant_id=tenant, stream_id=stream, events=[event])
        await session.execute(update(FeedEventRow).values(received_at=OLD - timedelta(days=1)))
    await expire(database)
    assert await count(database, tenant, FeedEventRow) == 0
    assert await count(database, tenant, EventSubject) == 0


async def test_old_events_of_100ms_go_once_they_are_done(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    for each in (tenant, other_tenant):
        connection = await new_connection(database, each)
        rows = [
            InboundEvent(event_id="done", received_at=OLD, delivered_at=OLD),
            InboundEvent(event_id="waits", received_at=OLD, lane="beam"),
            InboundEvent(event_id="young", delivered_at=datetime.now(UTC)),
        ]
        async with database.session(each) as session:
            for row in rows:
                row.tenant_id, row.connection_id = each, connection
                row.type, row.effect, row.is_replay = "beam.started.success", {}, False
                session.add(row)
    await expire(database)
    for each in (tenant, other_tenant):
        async with database.session(each) as session:
            left = await session.scalars(select(InboundEvent.event_id))
            assert set(left) == {"waits", "young"}


async def test_old_beams_go_unless_they_run(database: Database, tenant: UUID) -> None:
    connection = await new_connection(database, tenant)
    rows = [
        BeamRow(key="over", opened_at=OLD, ended_at=OLD, end_kind="stopped", updated_at=OLD),
        BeamRow(key="tombstone", ended_at=OLD, end_kind="stopped", updated_at=OLD),
        BeamRow(key="never begun", updated_at=OLD),
        BeamRow(key="runs", opened_at=OLD, updated_at=OLD),
        BeamRow(key="young", opened_at=OLD, ended_at=OLD, end_kind="stopped"),
    ]
    async with database.session(tenant) as session:
        for row in rows:
            row.tenant_id, row.connection_id, row.stream_id = tenant, connection, uuid4()
            session.add(row)
    await expire(database, batch=2)
    async with database.session(tenant) as session:
        assert set(await session.scalars(select(BeamRow.key))) == {"runs", "young"}


async def test_old_closed_sessions_go(database: Database, tenant: UUID) -> None:
    connection = await new_connection(database, tenant)
    async with database.session(tenant) as session:
        for name, at in (("old", OLD), ("young", datetime.now(UTC))):
            session.add(
                ClosedSession(
                    tenant_id=tenant, connection_id=connection, session_id=name, closed_at=at
                )
            )
    await expire(database)
    async with database.session(tenant) as session:
        assert list(await session.scalars(select(ClosedSession.session_id))) == ["young"]


async def log(database: Database, tenant: UUID, *ages: float) -> None:
    """Write audit entries of these ages in seconds."""
    async with database.session(tenant) as session:
        for seconds in ages:
            session.add(
                AuditEntry(
                    tenant_id=tenant,
                    id=uuid4(),
                    at=datetime.now(UTC) - timedelta(seconds=seconds),
                    actor_kind=ActorKind.OPERATOR,
                    action=AuditAction.KEY_CREATED,
                    target_kind="key",
                    target_id=f"{seconds:.0f}",
                    details={},
                )
            )


async def logged(database: Database, tenant: UUID) -> set[float]:
    async with database.session(tenant) as session:
        return {float(each) for each in await session.scalars(select(AuditEntry.target_id))}


async def test_old_audit_entries_go_in_batches_tenant_by_tenant(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    policy = RetentionPolicy()
    old = [policy.audit_log + day * DAY for day in (1, 2, 3)]
    for each in (tenant, other_tenant):
        await log(database, each, *old, policy.audit_log - DAY)
    async with database.session(tenant) as session:
        deleted = await tenants.delete_expired(
            session,
            tenant_id=other_tenant,
            kind=RecordKind.AUDIT_LOG,
            age=timedelta(seconds=policy.audit_log),
            limit=2,
        )
    assert deleted == 2
    assert len(await logged(database, tenant)) == 2
    assert len(await logged(database, other_tenant)) == 4
    await expire(database, batch=2)
    for each in (tenant, other_tenant):
        assert await logged(database, each) == {policy.audit_log - DAY}


async def test_young_audit_entries_stay_whatever_the_application_asks(
    database: Database, tenant: UUID
) -> None:
    await log(database, tenant, SHORTEST_AUDIT - DAY, SHORTEST_AUDIT + DAY)
    async with database.session(tenant) as session:
        for age in (timedelta(0), timedelta(days=-1)):
            await tenants.delete_expired(
                session, tenant_id=tenant, kind=RecordKind.AUDIT_LOG, age=age, limit=100
            )
    assert await logged(database, tenant) == {SHORTEST_AUDIT - DAY}
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with database.session(tenant) as session:
            await session.execute(delete(AuditEntry))


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
