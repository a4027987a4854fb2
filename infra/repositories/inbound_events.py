"""Events that connections brought, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.hms.beam import Outcome
from domain.hms.effects import Effect
from infra.schema import InboundEvent

_EFFECT: TypeAdapter[Effect] = TypeAdapter(Effect)


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event as it comes in.

    Attributes:
        lane: what must be done in order; None when there is nothing to be done.
        stream_id: the stream that it is about, if it names a beam.
        body: as it came; None where it is not kept.
    """

    tenant_id: UUID
    connection_id: UUID
    event_id: str
    type: str
    effect: Effect
    lane: str | None = None
    stream_id: UUID | None = None
    is_replay: bool = False
    body: bytes | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PendingEvent:
    """An event whose effect is yet to be done."""

    event_id: str
    effect: Effect
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Events of a connection that must be done in order, some of them pending."""

    connection_id: UUID
    name: str


async def record(session: AsyncSession, event: NewEvent) -> bool:
    """Insert an event; answer whether it is new, since one with the same id is left as it is."""
    done = event.lane is None
    inserted = await session.scalar(
        insert(InboundEvent)
        .values(
            tenant_id=event.tenant_id,
            connection_id=event.connection_id,
            event_id=event.event_id,
            type=event.type,
            lane=event.lane,
            stream_id=event.stream_id,
            effect=event.effect.model_dump(mode="json"),
            is_replay=event.is_replay,
            body=event.body,
            occurred_at=event.occurred_at,
            outcome=Outcome.NOTED if done else None,
            delivered_at=func.now() if done else None,
        )
        .on_conflict_do_nothing()
        .returning(InboundEvent.position)
    )
    return inserted is not None


async def pending(
    session: AsyncSession, *, tenant_id: UUID, lane: Lane, limit: int = 50
) -> list[PendingEvent]:
    """Return the events of a lane that are yet to be done, in the order in which they came."""
    rows = await session.scalars(
        select(InboundEvent)
        .where(
            InboundEvent.tenant_id == tenant_id,
            InboundEvent.connection_id == lane.connection_id,
            InboundEvent.lane == lane.name,
            InboundEvent.delivered_at.is_(None),
        )
        .order_by(InboundEvent.position)
        .limit(limit)
    )
    return [
        PendingEvent(
            event_id=row.event_id,
            effect=_EFFECT.validate_python(row.effect),
            attempts=row.attempts,
        )
        for row in rows
    ]


async def pending_lanes(
    session: AsyncSession, *, tenant_id: UUID, min_age: timedelta, limit: int
) -> list[Lane]:
    """Return the lanes with events that have waited for `min_age`, the longest waiting first."""
    rows = await session.execute(
        select(InboundEvent.connection_id, InboundEvent.lane)
        .where(
            InboundEvent.tenant_id == tenant_id,
            InboundEvent.delivered_at.is_(None),
            InboundEvent.received_at <= func.now() - min_age,
        )
        .group_by(InboundEvent.connection_id, InboundEvent.lane)
        .order_by(func.min(InboundEvent.position))
        .limit(limit)
    )
    return [Lane(connection_id=row.connection_id, name=row.lane) for row in rows]


async def complete(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    event_id: str,
    outcome: Outcome,
    detail: str = "",
    stream_id: UUID | None = None,
) -> None:
    """Note what came of an event, and to which stream if that was another than its ids had said.

    What came of it first stays.
    """
    await session.execute(
        update(InboundEvent)
        .where(
            InboundEvent.tenant_id == tenant_id,
            InboundEvent.connection_id == connection_id,
            InboundEvent.event_id == event_id,
            InboundEvent.delivered_at.is_(None),
        )
        .values(
            outcome=outcome,
            detail=detail,
            stream_id=func.coalesce(stream_id, InboundEvent.stream_id),
            delivered_at=func.now(),
            attempts=InboundEvent.attempts + 1,
        )
    )


async def note_failure(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, event_id: str, detail: str
) -> None:
    """Note that an attempt failed; the event stays pending."""
    await session.execute(
        update(InboundEvent)
        .where(
            InboundEvent.tenant_id == tenant_id,
            InboundEvent.connection_id == connection_id,
            InboundEvent.event_id == event_id,
        )
        .values(attempts=InboundEvent.attempts + 1, detail=detail)
    )


async def get(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, event_id: str
) -> InboundEvent | None:
    """Return an event, or None when the connection brought none of this id."""
    return await session.get(InboundEvent, (tenant_id, connection_id, event_id))


async def list_newest(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, limit: int
) -> list[InboundEvent]:
    """Return a connection's latest events, the newest first."""
    return list(
        await session.scalars(
            select(InboundEvent)
            .where(InboundEvent.tenant_id == tenant_id, InboundEvent.connection_id == connection_id)
            .order_by(InboundEvent.position.desc())
            .limit(limit)
        )
    )
