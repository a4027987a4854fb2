"""Stored inbound events and their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import (
    ARRAY,
    Boolean,
    DateTime,
    LargeBinary,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from domain.hms.beam import Outcome
from domain.hms.effects import Effect
from domain.hms.messages import SessionRef
from infra.db.tables import InboundEvent

_EFFECT: TypeAdapter[Effect] = TypeAdapter(Effect)


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event to store.

    Attributes:
        partition: the order in which its effect is processed (column `lane`). None if it has none.
        stream_id: the stream that it concerns, if it names a beam.
        body: as received; None if it is not kept.
    """

    tenant_id: UUID
    connection_id: UUID
    event_id: str
    type: str
    effect: Effect
    partition: str | None = None
    stream_id: UUID | None = None
    is_replay: bool = False
    body: bytes | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PendingEvent:
    """An event whose effect is not applied yet."""

    event_id: str
    effect: Effect
    attempts: int


_COLUMNS: Final[tuple[tuple[str, TypeEngine[Any], Callable[[NewEvent], Any]], ...]] = (
    ("tenant_id", Uuid(), attrgetter("tenant_id")),
    ("connection_id", Uuid(), attrgetter("connection_id")),
    ("event_id", Text(), attrgetter("event_id")),
    ("type", Text(), attrgetter("type")),
    ("lane", Text(), attrgetter("partition")),
    ("stream_id", Uuid(), attrgetter("stream_id")),
    ("effect", Text(), lambda event: event.effect.model_dump_json()),
    ("is_replay", Boolean(), attrgetter("is_replay")),
    ("body", LargeBinary(), attrgetter("body")),
    ("occurred_at", DateTime(timezone=True), attrgetter("occurred_at")),
)


async def record(session: AsyncSession, events: Sequence[NewEvent]) -> set[tuple[UUID, str]]:
    """Insert events, in their order; return connection id and event id of those that are new.

    A stored event stays as it is. One statement, the same for any number of events.
    """
    given = func.unnest(
        *(
            bindparam(None, [value(event) for event in events], ARRAY(kind))
            for _, kind, value in _COLUMNS
        )
    ).table_valued(
        *(column(name, kind) for name, kind, _ in _COLUMNS), with_ordinality="place", name="given"
    )
    rows = given.render_derived()
    is_done = rows.c.lane.is_(None)
    inserted = await session.execute(
        insert(InboundEvent)
        .from_select(
            [*(name for name, _, _ in _COLUMNS), "outcome", "delivered_at"],
            select(
                *(
                    cast(rows.c[name], JSONB) if name == "effect" else rows.c[name]
                    for name, _, _ in _COLUMNS
                ),
                case((is_done, Outcome.NOTED.value)),
                case((is_done, func.now())),
            ).order_by(rows.c.place),
        )
        .on_conflict_do_nothing()
        .returning(InboundEvent.connection_id, InboundEvent.event_id)
    )
    return {(row.connection_id, row.event_id) for row in inserted}


async def pending(session: AsyncSession, *, ref: SessionRef, limit: int = 50) -> list[PendingEvent]:
    """Return the unprocessed events of a session, oldest first."""
    rows = await session.scalars(
        select(InboundEvent)
        .where(
            InboundEvent.tenant_id == ref.tenant_id,
            InboundEvent.connection_id == ref.connection_id,
            InboundEvent.lane == ref.partition,
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


async def pending_sessions(
    session: AsyncSession, *, tenant_id: UUID, min_age: timedelta, limit: int
) -> list[SessionRef]:
    """Return the sessions with events pending for `min_age`, longest pending first."""
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
    return [
        SessionRef(tenant_id=tenant_id, connection_id=row.connection_id, partition=row.lane)
        for row in rows
    ]


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
    """Record an event's outcome, and its stream if that differs from the one its ids imply.

    The first recorded outcome stays.
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
    """Record a failed attempt; the event stays pending."""
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
    """Return an event, or None if the connection has none of this id."""
    return await session.get(InboundEvent, (tenant_id, connection_id, event_id))


async def list_newest(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, limit: int
) -> list[InboundEvent]:
    """Return a connection's latest events, newest first."""
    return list(
        await session.scalars(
            select(InboundEvent)
            .where(InboundEvent.tenant_id == tenant_id, InboundEvent.connection_id == connection_id)
            .order_by(InboundEvent.position.desc())
            .limit(limit)
        )
    )
