"""The outbox of events: appended with the change they tell, read by the relays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.webhooks.events import Event, EventType
from infra.db.tables import EventRow


async def append(session: AsyncSession, event: Event) -> bool:
    """Write an event in the transaction of its change; answer whether it is new.

    Appending it again changes nothing.
    """
    appended = await session.scalar(
        insert(EventRow)
        .values(
            tenant_id=event.tenant_id,
            id=event.id,
            type=event.type.value,
            subject=event.subject,
            ordering_key=event.ordering_key,
            stream_id=event.stream_id,
            data=event.data,
            created_at=event.created_at,
        )
        .on_conflict_do_nothing()
        .returning(EventRow.id)
    )
    return appended is not None


async def get(session: AsyncSession, *, tenant_id: UUID, event_id: UUID) -> Event | None:
    """Return an event, or None when the tenant has none of this id."""
    row = await session.get(EventRow, (tenant_id, event_id))
    return None if row is None else event_of(row)


async def undispatched(
    session: AsyncSession, *, tenant_id: UUID, limit: int = 100
) -> Sequence[Event]:
    """Return the oldest events of which no deliveries were made, locked for this transaction.

    Whoever else asks for them waits until it ends, so that none overtakes an older one.
    """
    rows = await session.scalars(
        select(EventRow)
        .where(EventRow.tenant_id == tenant_id, EventRow.dispatched_at.is_(None))
        .order_by(EventRow.position)
        .limit(limit)
        .with_for_update(key_share=True)
    )
    return [event_of(row) for row in rows]


async def keep(
    session: AsyncSession, *, tenant_id: UUID, event_ids: Collection[UUID]
) -> frozenset[UUID]:
    """Let nobody delete these events until the transaction ends; return those still there."""
    found = await session.scalars(
        select(EventRow.id)
        .where(EventRow.tenant_id == tenant_id, EventRow.id.in_(event_ids))
        .order_by(EventRow.position)
        .with_for_update(read=True, key_share=True)
    )
    return frozenset(found)


async def mark_dispatched(
    session: AsyncSession, *, tenant_id: UUID, event_ids: Iterable[UUID]
) -> None:
    """Note that deliveries of these events have been made."""
    await _mark(session, tenant_id, event_ids, EventRow.dispatched_at)


async def mark_published(
    session: AsyncSession, *, tenant_id: UUID, event_ids: Iterable[UUID]
) -> None:
    """Note that the broker has confirmed these events."""
    await _mark(session, tenant_id, event_ids, EventRow.published_at)


async def _mark(
    session: AsyncSession,
    tenant_id: UUID,
    event_ids: Iterable[UUID],
    column: InstrumentedAttribute[datetime | None],
) -> None:
    """Set a time on events, locked in their order first: so two relays cannot block each other."""
    own = and_(EventRow.tenant_id == tenant_id, EventRow.id.in_(list(event_ids)))
    await session.execute(
        select(EventRow.id).where(own).order_by(EventRow.position).with_for_update(key_share=True)
    )
    await session.execute(
        update(EventRow)
        .where(own)
        .values({column: func.now()})
        .execution_options(synchronize_session=False)
    )


def event_of(row: EventRow) -> Event:
    """Return the event that a row holds."""
    return Event(
        id=row.id,
        tenant_id=row.tenant_id,
        type=EventType(row.type),
        subject=row.subject,
        ordering_key=row.ordering_key,
        stream_id=row.stream_id,
        created_at=row.created_at,
        data=row.data,
    )
