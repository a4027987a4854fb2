"""Deliveries as tenants see them, and ask for again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import delivery_id as id_of
from domain.webhooks.events import DeliveryStatus, Event, EventType, wants
from infra.db.repositories import events
from infra.db.repositories.keyset import Order, Position
from infra.db.tables import Delivery, EventRow, WebhookEndpoint

NEWEST: Final = Order(column=Delivery.created_at, id=Delivery.id, descending=True)
_BATCH: Final = 1000
_AFRESH: Final[dict[str, Any]] = {
    "status": DeliveryStatus.PENDING.value,
    "first_attempt_at": None,
    "next_attempt_at": None,
    "finished_at": None,
    "queued_at": None,
}


class TooManyEventsError(Exception):
    """A range of time holds more events than are replayed at once."""


@dataclass(frozen=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to list; None leaves a property open."""

    endpoint_id: UUID | None = None
    status: DeliveryStatus | None = None
    event_type: EventType | None = None


async def get(session: AsyncSession, *, tenant_id: UUID, delivery_id: UUID) -> Delivery | None:
    """Return a delivery, or None when the tenant has none of this id."""
    return await session.get(Delivery, (tenant_id, delivery_id))


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    criteria: DeliveryFilter,
    after: Position | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Return the deliveries that match, newest first."""
    query = select(Delivery).where(Delivery.tenant_id == tenant_id)
    if criteria.endpoint_id is not None:
        query = query.where(Delivery.endpoint_id == criteria.endpoint_id)
    if criteria.status is not None:
        query = query.where(Delivery.status == criteria.status)
    if criteria.event_type is not None:
        query = query.where(Delivery.event_type == criteria.event_type)
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))


async def send_to_one(session: AsyncSession, event: Event, *, endpoint_id: UUID) -> Delivery:
    """Write an event that one endpoint is told and nobody else."""
    await events.append(session, event)
    await events.mark_dispatched(session, tenant_id=event.tenant_id, event_ids=[event.id])
    await events.mark_published(session, tenant_id=event.tenant_id, event_ids=[event.id])
    row = Delivery(
        tenant_id=event.tenant_id,
        id=id_of(endpoint_id=endpoint_id, event=event.id),
        event_id=event.id,
        endpoint_id=endpoint_id,
        event_type=event.type,
        status=DeliveryStatus.PENDING,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def redeliver(
    session: AsyncSession, *, tenant_id: UUID, delivery_id: UUID
) -> Delivery | None:
    """Begin a delivery anew, whatever came of it; None when there is no such delivery."""
    row: Delivery | None = await session.scalar(
        update(Delivery)
        .where(Delivery.tenant_id == tenant_id, Delivery.id == delivery_id)
        .values(_AFRESH)
        .returning(Delivery)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return row


async def replay(
    session: AsyncSession,
    *,
    endpoint: WebhookEndpoint,
    since: datetime,
    until: datetime,
    types: Collection[EventType],
    limit: int,
) -> int:
    """Begin the deliveries of a range of time anew, and those that were never made.

    Args:
        session: the tenant's.
        endpoint: where they go.
        since: events from this instant on.
        until: events before this instant.
        types: of these types; none means those that the endpoint asks for.
        limit: events at most.

    Raises:
        TooManyEventsError: there are more; nothing is replayed.
    """
    asked = list(types) or endpoint.event_types
    rows = await session.execute(
        select(EventRow.id, EventRow.type)
        .where(
            EventRow.tenant_id == endpoint.tenant_id,
            EventRow.created_at >= since,
            EventRow.created_at < until,
            EventRow.type.in_([kind.value for kind in EventType if wants(asked, kind)]),
        )
        .order_by(EventRow.created_at, EventRow.id)
        .limit(limit + 1)
    )
    found = rows.all()
    if len(found) > limit:
        raise TooManyEventsError
    await _begin_anew(session, endpoint, found)
    return len(found)


async def _begin_anew(
    session: AsyncSession, endpoint: WebhookEndpoint, found: Sequence[Row[UUID, str]]
) -> None:
    """Make or reset deliveries; events first and deliveries in order (`delivery_locks`)."""
    kept = await events.keep(
        session, tenant_id=endpoint.tenant_id, event_ids=[row.id for row in found]
    )
    rows = [
        {
            "tenant_id": endpoint.tenant_id,
            "id": id_of(endpoint_id=endpoint.id, event=row.id),
            "event_id": row.id,
            "endpoint_id": endpoint.id,
            "event_type": row.type,
            "status": DeliveryStatus.PENDING.value,
        }
        for row in found
        if row.id in kept
    ]
    rows.sort(key=itemgetter("id"))
    for start in range(0, len(rows), _BATCH):
        # One that is pending is on its way already.
        await session.execute(
            insert(Delivery)
            .values(rows[start : start + _BATCH])
            .on_conflict_do_update(
                index_elements=[Delivery.tenant_id, Delivery.id],
                set_=_AFRESH,
                where=Delivery.status != DeliveryStatus.PENDING,
            )
        )
