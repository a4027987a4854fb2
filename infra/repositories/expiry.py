"""Deleting a tenant's old records, some at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.expiry import RecordKind
from domain.selection import DecisionStatus
from infra.repositories.delivery_locks import lock_deliveries
from infra.schema import Base, Delivery, EventRow, Highlight, IdempotencyKey, UsageEventRow

_HIDDEN: Final = (DecisionStatus.HELD.value, DecisionStatus.REJECTED.value)


@dataclass(frozen=True, kw_only=True)
class _Records:
    """Where records of a kind are: their table, their key, and since when they are there.

    Those that are `written_once` are held by nobody, and the application may not lock them.
    """

    table: type[Base]
    tenant_id: InstrumentedAttribute[UUID]
    key: InstrumentedAttribute[Any]
    since: InstrumentedAttribute[Any]
    only: tuple[ColumnElement[bool], ...] = ()
    written_once: bool = False


_RECORDS: Final = {
    RecordKind.IDEMPOTENCY_KEYS: _Records(
        table=IdempotencyKey,
        tenant_id=IdempotencyKey.tenant_id,
        key=IdempotencyKey.key,
        since=IdempotencyKey.created_at,
    ),
    RecordKind.USAGE_EVENTS: _Records(
        table=UsageEventRow,
        tenant_id=UsageEventRow.tenant_id,
        key=UsageEventRow.id,
        since=UsageEventRow.at,
        written_once=True,
    ),
    RecordKind.EVENTS: _Records(
        table=EventRow, tenant_id=EventRow.tenant_id, key=EventRow.id, since=EventRow.created_at
    ),
    RecordKind.HIDDEN_HIGHLIGHTS: _Records(
        table=Highlight,
        tenant_id=Highlight.tenant_id,
        key=Highlight.id,
        since=Highlight.created_at,
        only=(Highlight.status.in_(_HIDDEN),),
    ),
}


async def delete_expired(
    session: AsyncSession, *, tenant_id: UUID, kind: RecordKind, age: timedelta, limit: int
) -> int:
    """Delete at most `limit` records older than `age`, by the server's clock; answer how many.

    Fewer than `limit` are all there are, but for those that someone holds: nobody is waited for,
    and the next round finds them.
    """
    records = _RECORDS[kind]
    old = (
        select(records.key)
        .where(records.tenant_id == tenant_id, records.since < func.now() - age, *records.only)
        .limit(limit)
    )
    if not records.written_once:
        old = old.with_for_update(skip_locked=True)
    keys = (await session.scalars(old)).all()
    if kind is RecordKind.EVENTS:
        await lock_deliveries(session, tenant_id=tenant_id, which=Delivery.event_id.in_(keys))
    await session.execute(
        delete(records.table)
        .where(records.tenant_id == tenant_id, records.key.in_(keys))
        .execution_options(synchronize_session=False)
    )
    return len(keys)
