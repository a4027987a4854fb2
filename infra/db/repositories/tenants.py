"""Which tenants there are, and their plans."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.usage import PlanName
from infra.db.repositories.errors import RecordMissingError
from infra.db.tables import Tenant

_PLAN: Final = select(Tenant.__table__.c.plan).where(
    Tenant.__table__.c.id == bindparam("tenant_id")
)
_PLAN_LOCKED: Final = _PLAN.with_for_update(key_share=True)


async def get(session: AsyncSession, *, tenant_id: UUID) -> Tenant | None:
    """Return the tenant, or None when there is none of this id."""
    return await session.get(Tenant, tenant_id)


async def plan_of(session: AsyncSession, *, tenant_id: UUID, lock: bool = False) -> PlanName | None:
    """Return the tenant's own plan, or None when it has the default one.

    Args:
        session: the tenant's.
        tenant_id: the tenant.
        lock: let nobody else who locks go on before this transaction ends. Rows that refer to the
            tenant can still be inserted (FOR NO KEY UPDATE).

    Raises:
        RecordMissingError: there is no such tenant.
    """
    query = _PLAN_LOCKED if lock else _PLAN
    found = (await session.execute(query, {"tenant_id": tenant_id})).one_or_none()
    if found is None:
        raise RecordMissingError("tenant", tenant_id)
    return None if found.plan is None else PlanName(found.plan)


async def set_plan(session: AsyncSession, *, tenant_id: UUID, plan: PlanName | None) -> bool:
    """Give the tenant a plan of its own, or the default one; answer whether there is a tenant."""
    changed = await session.scalar(
        update(Tenant).where(Tenant.id == tenant_id).values(plan=plan).returning(Tenant.id)
    )
    return changed is not None


async def all_ids(session: AsyncSession) -> list[UUID]:
    """Return the ids of all tenants, in order, whosever session it is.

    The function `tenant_ids()` (migration 0006) is the one place where a session learns of other
    tenants: it runs as the owner of the tables and gives ids only. What belongs to them is read in
    a session of each.
    """
    return list(await session.scalars(select(func.tenant_ids())))
