"""Tenants: their plans, and deletion of their expired records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.highlights.selection import DecisionStatus
from domain.tenants.retention import RecordKind
from domain.tenants.usage import PlanName
from infra.db.errors import RecordMissingError
from infra.db.repositories.events import lock_deliveries
from infra.db.tables import (
    Base,
    BeamRow,
    ClosedSession,
    Delivery,
    EmbedPolicy,
    EventRow,
    FeedEventRow,
    Highlight,
    IdempotencyKey,
    InboundEvent,
    Tenant,
    UsageEventRow,
)

_PLAN: Final = select(Tenant.__table__.c.plan).where(
    Tenant.__table__.c.id == bindparam("tenant_id")
)
_PLAN_LOCKED: Final = _PLAN.with_for_update(key_share=True)


async def get(session: AsyncSession, *, tenant_id: UUID) -> Tenant | None:
    """Return the tenant, or None when there is none of this id."""
    return await session.get(Tenant, tenant_id)


async def embed_policy(session: AsyncSession, *, tenant_id: UUID) -> EmbedPolicy | None:
    """Return who may embed the tenant's highlights, or None when it has not said."""
    return await session.get(EmbedPolicy, tenant_id)


async def put_embed_policy(
    session: AsyncSession, *, tenant_id: UUID, enabled: bool, origins: Sequence[str]
) -> EmbedPolicy:
    """Say who may embed the tenant's highlights; return the row."""
    values = {"enabled": enabled, "origins": list(origins), "updated_at": func.now()}
    row = await session.scalar(
        insert(EmbedPolicy)
        .values(tenant_id=tenant_id, **values)
        .on_conflict_do_update(index_elements=[EmbedPolicy.tenant_id], set_=values)
        .returning(EmbedPolicy)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise RecordMissingError("tenant", tenant_id)
    return row


async def plan_of(session: AsyncSession, *, tenant_id: UUID, lock: bool = False) -> PlanName | None:
    """Return the tenant's own plan, or None when it has the default one.

    Args:
        session: the tenant's.
        tenant_id: the tenant.
        lock: lock the row until this transaction ends. Rows that refer to the tenant can still be
            inserted (FOR NO KEY UPDATE).

    Raises:
        RecordMissingError: there is no such tenant.
    """
    query = _PLAN_LOCKED if lock else _PLAN
    found = (await session.execute(query, {"tenant_id": tenant_id})).one_or_none()
    if found is None:
        raise RecordMissingError("tenant", tenant_id)
    return None if found.plan is None else PlanName(found.plan)


async def set_plan(session: AsyncSession, *, tenant_id: UUID, plan: PlanName | None) -> bool:
    """Set or clear the tenant's own plan. Return True if the tenant exists."""
    changed = await session.scalar(
        update(Tenant).where(Tenant.id == tenant_id).values(plan=plan).returning(Tenant.id)
    )
    return changed is not None


_HIDDEN: Final = (DecisionStatus.HELD.value, DecisionStatus.REJECTED.value)


@dataclass(frozen=True, kw_only=True)
class _Records:
    """Where records of a kind are: their table, their key in it, and since when they are there.

    Rows that are `written_once` are never locked; the application has no right to lock them.
    """

    table: type[Base]
    tenant_id: InstrumentedAttribute[UUID]
    key: tuple[InstrumentedAttribute[Any], ...]
    since: InstrumentedAttribute[Any]
    only: tuple[ColumnElement[bool], ...] = ()
    written_once: bool = False


_RECORDS: Final = {
    RecordKind.IDEMPOTENCY_KEYS: _Records(
        table=IdempotencyKey,
        tenant_id=IdempotencyKey.tenant_id,
        key=(IdempotencyKey.key,),
        since=IdempotencyKey.created_at,
    ),
    RecordKind.USAGE_EVENTS: _Records(
        table=UsageEventRow,
        tenant_id=UsageEventRow.tenant_id,
        key=(UsageEventRow.id,),
        since=UsageEventRow.at,
        written_once=True,
    ),
    RecordKind.EVENTS: _Records(
        table=EventRow, tenant_id=EventRow.tenant_id, key=(EventRow.id,), since=EventRow.created_at
    ),
    RecordKind.HIDDEN_HIGHLIGHTS: _Records(
        table=Highlight,
        tenant_id=Highlight.tenant_id,
        key=(Highlight.id,),
        since=Highlight.created_at,
        only=(Highlight.status.in_(_HIDDEN), Highlight.legal_hold.is_(None)),
    ),
    RecordKind.FEED_EVENTS: _Records(
        table=FeedEventRow,
        tenant_id=FeedEventRow.tenant_id,
        key=(FeedEventRow.id,),
        since=FeedEventRow.received_at,
    ),
    RecordKind.INBOUND_EVENTS: _Records(
        table=InboundEvent,
        tenant_id=InboundEvent.tenant_id,
        key=(InboundEvent.connection_id, InboundEvent.event_id),
        since=InboundEvent.received_at,
        only=(InboundEvent.delivered_at.is_not(None),),
    ),
    RecordKind.BEAMS: _Records(
        table=BeamRow,
        tenant_id=BeamRow.tenant_id,
        key=(BeamRow.connection_id, BeamRow.key),
        since=BeamRow.updated_at,
        only=(or_(BeamRow.ended_at.is_not(None), BeamRow.opened_at.is_(None)),),
    ),
    RecordKind.CLOSED_SESSIONS: _Records(
        table=ClosedSession,
        tenant_id=ClosedSession.tenant_id,
        key=(ClosedSession.connection_id, ClosedSession.session_id),
        since=ClosedSession.closed_at,
        written_once=True,
    ),
}


async def delete_expired(
    session: AsyncSession, *, tenant_id: UUID, kind: RecordKind, age: timedelta, limit: int
) -> int:
    """Delete at most `limit` records older than `age` (server's clock). Return their number.

    Locked rows are skipped and found by the next pass, so fewer than `limit` means that no other
    record is left.
    """
    if kind is RecordKind.AUDIT_LOG:
        return await _delete_audit_entries(session, age=age, limit=limit)
    records = _RECORDS[kind]
    old = (
        select(*records.key)
        .where(records.tenant_id == tenant_id, records.since < func.now() - age, *records.only)
        .limit(limit)
    )
    if not records.written_once:
        old = old.with_for_update(skip_locked=True)
    keys = [tuple(row) for row in await session.execute(old)]
    if kind is RecordKind.EVENTS:
        await lock_deliveries(
            session, tenant_id=tenant_id, which=tuple_(Delivery.event_id).in_(keys)
        )
    await session.execute(
        delete(records.table)
        .where(records.tenant_id == tenant_id, tuple_(*records.key).in_(keys))
        .execution_options(synchronize_session=False)
    )
    return len(keys)


async def _delete_audit_entries(session: AsyncSession, *, age: timedelta, limit: int) -> int:
    """Have the database do it (migration 0012): the application may not delete entries itself."""
    return await session.scalar(select(func.delete_old_audit_entries(age, limit))) or 0
