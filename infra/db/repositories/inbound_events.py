"""Events that connections brought, and what came of them."""

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
from infra.db.tables import InboundEvent

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


_COLUMNS: Final[tuple[tuple[str, TypeEngine[Any], Callable[[NewEvent], Any]], ...]] = (
    ("tenant_id", Uuid(), attrgetter("tenant_id")),
    ("connection_id", Uuid(), attrgetter("connection_id")),
    ("event_id", Text(), attrgetter("event_id")),
    ("type", Text(), attrgetter("type")),
    ("lane", Text(), attrgetter("lane")),
    ("stream_id", Uuid(), attrgetter("stream_id")),
    ("effect", Text(), lambda event: event.effect.model_dump_json()),
    ("is_replay", Boolean(), attrgetter("is_replay")),
    ("body", LargeBinary(), attrgetter("body")),
    ("occurred_at", DateTime(timezone=True), attrgetter("occurred_at")),
)


async def record(session: AsyncSession, events: Sequence[NewEvent]) -> set[tuple[UUID, str]]:
    """Insert events, in their order; return connection and id of those that are new.

    One whose id is there is left as it is. It is one statement, the same for any number of events.
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
