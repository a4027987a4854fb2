"""From the outbox to the workflows: deliveries are made of events, then handed over.

Both steps can be repeated, and whoever does the second looks at all that waits, oldest first: a
delivery that another process has made but not yet handed over cannot be overtaken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import delivery_id
from domain.webhooks.events import DeliveryStatus, EndpointStatus, wants
from infra.db.repositories import events
from infra.db.repositories.delivery_locks import lock_deliveries
from infra.db.tables import Delivery, EventRow, WebhookEndpoint

OVERDUE: Final = timedelta(hours=1)
"""After so long without the attempt that was due, a delivery's workflow is taken for lost: it was
terminated, or Temporal with it. `tenants_to_send_for` in the database says the same."""


@dataclass(frozen=True, kw_only=True)
class WaitingDelivery:
    """A delivery that its workflow must be told of; `position` is its event's."""

    id: UUID
    endpoint_id: UUID
    ordering_key: str
    position: int
    attempts: int


async def fan_out(session: AsyncSession, *, tenant_id: UUID, limit: int = 100) -> int:
    """Make deliveries of the oldest events that have none; return how many events were taken."""
    waiting = await events.undispatched(session, tenant_id=tenant_id, limit=limit)
    if not waiting:
        return 0
    endpoints = await session.execute(
        select(WebhookEndpoint.id, WebhookEndpoint.event_types)
        .where(
            WebhookEndpoint.tenant_id == tenant_id,
            WebhookEndpoint.status == EndpointStatus.ENABLED,
        )
        .order_by(WebhookEndpoint.id)
        .with_for_update(read=True, key_share=True)
    )
    rows = [
        {
            "tenant_id": tenant_id,
            "id": delivery_id(endpoint_id=endpoint, event=event.id),
            "event_id": event.id,
            "endpoint_id": endpoint,
            "event_type": event.type.value,
            "status": DeliveryStatus.PENDING.value,
        }
        for endpoint, subscribed in endpoints.all()
        for event in waiting
        if wants(subscribed, event.type)
    ]
    if rows:
        await session.execute(insert(Delivery).values(rows).on_conflict_do_nothing())
    await events.mark_dispatched(
        session, tenant_id=tenant_id, event_ids=[event.id for event in waiting]
    )
    return len(waiting)


async def unqueued(
    session: AsyncSession, *, tenant_id: UUID, limit: int = 100
) -> Sequence[WaitingDelivery]:
    """Return the deliveries that no workflow knows of, or no longer, by their events' order."""
    rows = await session.execute(
        select(Delivery, EventRow.ordering_key, EventRow.position)
        .join(
            EventRow,
            (EventRow.tenant_id == Delivery.tenant_id) & (EventRow.id == Delivery.event_id),
        )
        .where(
            Delivery.tenant_id == tenant_id,
            Delivery.status == DeliveryStatus.PENDING,
            or_(
                Delivery.queued_at.is_(None),
                func.greatest(Delivery.queued_at, Delivery.next_attempt_at) < func.now() - OVERDUE,
            ),
        )
        .order_by(EventRow.position, Delivery.id)
        .limit(limit)
    )
    return [
        WaitingDelivery(
            id=row.id,
            endpoint_id=row.endpoint_id,
            ordering_key=ordering_key,
            position=position,
            attempts=row.attempts,
        )
        for row, ordering_key, position in rows
    ]


async def mark_queued(
    session: AsyncSession, *, tenant_id: UUID, deliveries: Iterable[WaitingDelivery]
) -> None:
    """Note that their workflows know of them.

    One that was attempted meanwhile is left as it is: should it have been asked for again since,
    its workflow must be told again.
    """
    seen = tuple_(Delivery.id, Delivery.attempts).in_(
        [(each.id, each.attempts) for each in deliveries]
    )
    await lock_deliveries(session, tenant_id=tenant_id, which=seen)
    await session.execute(
        update(Delivery)
        .where(Delivery.tenant_id == tenant_id, seen)
        .values(queued_at=func.now())
        .execution_options(synchronize_session=False)
    )
