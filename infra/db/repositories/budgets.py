"""Budgets of usage, and telling that one is used up."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.usage import UsageKind, period_of, reached
from domain.webhooks.events import EventType, UsagePayload, event
from infra.db.repositories import events
from infra.db.tables import UsageBudget


async def put(
    session: AsyncSession, *, tenant_id: UUID, kind: UsageKind, monthly: Decimal
) -> UsageBudget:
    """Set a budget anew; thresholds already told this month are told again if it changed."""
    statement = insert(UsageBudget).values(tenant_id=tenant_id, kind=kind.value, monthly=monthly)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[UsageBudget.tenant_id, UsageBudget.kind],
            set_={"monthly": monthly, "told_month": None, "told_percent": None}
            | {"updated_at": func.now()},
            where=UsageBudget.monthly != monthly,
        )
    )
    return await session.get_one(UsageBudget, (tenant_id, kind.value), populate_existing=True)


async def list_all(session: AsyncSession, *, tenant_id: UUID) -> list[UsageBudget]:
    """Return a tenant's budgets by kind."""
    return list(
        await session.scalars(
            select(UsageBudget).where(UsageBudget.tenant_id == tenant_id).order_by(UsageBudget.kind)
        )
    )


async def remove(session: AsyncSession, *, tenant_id: UUID, kind: UsageKind) -> bool:
    """Take a budget away; answer whether there was one."""
    removed = await session.scalar(
        delete(UsageBudget)
        .where(UsageBudget.tenant_id == tenant_id, UsageBudget.kind == kind)
        .returning(UsageBudget.kind)
    )
    return removed is not None


async def lock(
    session: AsyncSession, *, tenant_id: UUID, kinds: Collection[UsageKind]
) -> list[UsageBudget]:
    """Return the budgets of these kinds, locked: what others use of them meanwhile waits.

    Else two that reach a threshold together could each see half of it.
    """
    return list(
        await session.scalars(
            select(UsageBudget)
            .where(UsageBudget.tenant_id == tenant_id, UsageBudget.kind.in_(kinds))
            .order_by(UsageBudget.kind)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


async def tell(
    session: AsyncSession, budget: UsageBudget, *, month: datetime, used: Decimal
) -> None:
    """Append an event for each threshold that is reached and was not told this month."""
    told = budget.told_percent if budget.told_month == month else None
    new = [
        percent
        for percent in reached(used=used, budget=budget.monthly)
        if told is None or percent > told
    ]
    if not new or (budget.told_month is not None and month < budget.told_month):
        return
    now = (await session.execute(select(func.now()))).scalar_one()
    for percent in new:
        payload = UsagePayload(
            kind=budget.kind,
            period=period_of(month),
            percent=percent,
            used=float(used),
            budget=float(budget.monthly),
        )
        await events.append(
            session,
            event(
                EventType.USAGE_THRESHOLD,
                payload,
                tenant_id=budget.tenant_id,
                subject=f"usage/{budget.kind}/{payload.period}",
                revision=_revision(budget, percent),
                created_at=now,
            ),
        )
    budget.told_month, budget.told_percent = month, new[-1]
    await session.flush()


def _revision(budget: UsageBudget, percent: int) -> int:
    """Tell the same share of another budget apart: it is another piece of news."""
    return round(budget.updated_at.timestamp() * 1_000_000) * 1000 + percent
