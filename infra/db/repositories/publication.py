"""What of the outbox is still to be published to the broker, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.webhooks.events import Event
from infra.db.repositories.events import event_of
from infra.db.tables import EventRow

_LOCK_SPACE: Final = 0x616D7170  # any constant of ours, beside other uses of advisory locks


async def tenants_with_unpublished(session: AsyncSession) -> list[UUID]:
    """Return the ids of the tenants that have something to publish, whosever session it is.

    It is a function of migration 0009, which tells nothing else of other tenants.
    """
    return list(await session.scalars(select(func.tenants_to_publish_for())))


async def claim(session: AsyncSession, *, tenant_id: UUID) -> bool:
    """Take the tenant's turn for this transaction; answer whether nobody else has it.

    Only one may publish a tenant's events at a time, or they would overtake each other. It is an
    advisory lock, not one of rows: whoever publishes waits for a broker meanwhile, and nobody
    else who works with these rows must wait with it.
    """
    turn = func.pg_try_advisory_xact_lock(_LOCK_SPACE, func.hashtext(str(tenant_id)))
    return bool(await session.scalar(select(turn)))


async def unpublished(session: AsyncSession, *, tenant_id: UUID, limit: int) -> Sequence[Event]:
    """Return the oldest events that no broker has confirmed, in the order they happened."""
    rows = await session.scalars(
        select(EventRow)
        .where(EventRow.tenant_id == tenant_id, EventRow.published_at.is_(None))
        .order_by(EventRow.position)
        .limit(limit)
    )
    return [event_of(row) for row in rows]
