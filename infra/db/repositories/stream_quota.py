"""Room for one stream more, kept until the transaction that creates it has ended."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.streams.status import TERMINAL, StreamStatus
from domain.tenants.usage import PLANS, PlanName, require_stream_quota
from infra.db.repositories import tenants
from infra.db.tables import Stream

_column: Final = Stream.__table__.c
_UNDER_WAY: Final = and_(
    _column.tenant_id == bindparam("tenant_id"),
    _column.status.in_([status for status in StreamStatus if status not in TERMINAL]),
)
_COUNT: Final = select(func.count()).where(_UNDER_WAY)
_RUNNING: Final = select(_column.id).where(_UNDER_WAY).order_by(_column.created_at, _column.id)


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
    count = await session.scalar(_COUNT, {"tenant_id": tenant_id})
    plan = PLANS[own or default_plan]
    if (count or 0) < plan.concurrent_streams:
        return
    # Only a refusal names them; by now there may be room after all.
    running = await session.scalars(_RUNNING, {"tenant_id": tenant_id})
    require_stream_quota(plan, list(running))
