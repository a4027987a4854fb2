"""Room for one stream more, kept until the transaction that creates it has ended."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.plans import PLANS, PlanName, require_room
from domain.stream import TERMINAL, StreamStatus
from infra.repositories import tenants
from infra.schema import Stream

_UNDER_WAY: Final = tuple(status for status in StreamStatus if status not in TERMINAL)


async def reserve(session: AsyncSession, *, tenant_id: UUID, default_plan: PlanName) -> None:
    """Make sure that the tenant may have one stream more; call it just before creating that.

    Transactions that ask for the same tenant follow one another: the next one counts the stream
    that this one creates. Every way of creating a stream has to come through here.

    Args:
        session: the tenant's, in the transaction that creates the stream.
        tenant_id: the tenant.
        default_plan: the installation's, for tenants without one of their own.

    Raises:
        StreamQuotaExceededError: its plan allows no more than are under way.
        RecordMissingError: there is no such tenant.
    """
    own = await tenants.plan_of(session, tenant_id=tenant_id, lock=True)
    # Only after the lock: READ COMMITTED shows a statement what was committed when it began.
    under_way = and_(Stream.tenant_id == tenant_id, Stream.status.in_(_UNDER_WAY))
    count = await session.scalar(select(func.count()).select_from(Stream).where(under_way))
    plan = PLANS[own or default_plan]
    if (count or 0) < plan.concurrent_streams:
        return
    # Only a refusal names them; by now there may be room after all.
    running = await session.scalars(
        select(Stream.id).where(under_way).order_by(Stream.created_at, Stream.id)
    )
    require_room(plan, list(running))
