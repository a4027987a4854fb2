"""Which tenants there are, and no more of them than that."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.schema import Tenant


async def all_ids(session: AsyncSession) -> list[UUID]:
    """Return the ids of all tenants, in order, whosever session it is.

    The function `tenant_ids()` (migration 0006) is the one place where a session learns of other
    tenants: it runs as the owner of the tables and gives ids only. What belongs to them is read in
    a session of each.
    """
    return list(await session.scalars(select(func.tenant_ids())))


async def exists(session: AsyncSession, *, tenant_id: UUID) -> bool:
    """Tell whether there is such a tenant, in a session of its own."""
    return await session.get(Tenant, tenant_id) is not None
