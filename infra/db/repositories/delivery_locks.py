"""The one order in which rows about deliveries are locked.

An endpoint comes first, then events by their position, then deliveries by their id. PostgreSQL ends
one of two transactions that wait for each other; two that lock in one order never do. Whoever locks
several deliveries, or deletes them with what they belong to, takes them here before.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.tables import Delivery


async def lock_deliveries(
    session: AsyncSession, *, tenant_id: UUID, which: ColumnElement[bool]
) -> int:
    """Lock the tenant's deliveries that match, by their order, until the transaction ends.

    Returns:
        How many there are.
    """
    held = (
        select(Delivery.id)
        .where(Delivery.tenant_id == tenant_id, which)
        .order_by(Delivery.id)
        .with_for_update()
        .subquery()
    )
    return await session.scalar(select(func.count()).select_from(held)) or 0
