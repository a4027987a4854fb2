"""Usage: metered once per event, summed by hour in the same transaction; budgets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, SQLColumnExpression, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.usage import (
    NO_STREAM,
    UsageEvent,
    UsageKind,
    month_after,
    month_of,
    period_of,
    reached,
)
from domain.webhooks.events import EventType, UsagePayload, event
from infra.db.repositories import events
from infra.db.tables import UsageBudget, UsageEventRow, UsageHour


class Bucket(StrEnum):
    """Stretches of time (UTC) over which usage is summed."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, kw_only=True)
class UsageSum:
    """How much of one kind was used from `start` on; `stream_id` is None for no stream, or all."""

    start: datetime
    kind: UsageKind
    stream_id: UUID | None
    quantity: Decimal


async def meter(session: AsyncSession, *, tenant_id: UUID, events: Iterable[UsageEvent]) -> None:
    """Count events, each once under its id, in the transaction of what they are about.

    Only those that had not been written are added to their hours, so that the sums are exact
    whatever is repeated, for as long as events are kept (`retention_usage_events`). A
    tenant that reaches a threshold of a budget is notified in the same transaction.
    """
    # Always in this order, here and below, so that transactions cannot deadlock.
    rows = [_values(tenant_id, event) for event in sorted(events, key=lambda event: event.id)]
    if not rows:
        return
    written = await session.execute(
        insert(UsageEventRow)
        .values(rows)
        .on_conflict_do_nothing()
        .returning(
            UsageEventRow.kind, UsageEventRow.stream_id, UsageEventRow.quantity, UsageEventRow.at
        )
    )
    sums: dict[tuple[datetime, str, UUID], Decimal] = defaultdict(Decimal)
    for kind, stream_id, quantity, at in written:
        sums[_hour(at), kind, stream_id] += quantity
    if not sums:
        return
    kinds = {UsageKind(kind) for _, kind, _ in sums}
    limited = await lock_budgets(session, tenant_id=tenant_id, kinds=kinds)
    await _add(session, tenant_id, sums)
    for budget in limited:
        for month in sorted({month_of(hour) for hour, kind, _ in sums if kind == budget.kind}):
            total = await used(
                session, tenant_id=tenant_id, kind=UsageKind(budget.kind), month=month
            )
            await notify_thresholds(session, budget, month=month, used=total)


async def used(
    session: AsyncSession, *, tenant_id: UUID, kind: UsageKind, month: datetime
) -> Decimal:
    """Return how much of one kind was used in the month that starts at `month`."""
    total = await session.scalar(
        select(func.sum(UsageHour.quantity)).where(
            UsageHour.tenant_id == tenant_id,
            UsageHour.kind == kind,
            UsageHour.hour >= month,
            UsageHour.hour < month_after(month),
        )
    )
    return total or Decimal(0)


async def stats(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    since: datetime,
    until: datetime,
    bucket: Bucket = Bucket.DAY,
    by_stream: bool = False,
    kinds: Sequence[UsageKind] = (),
    stream_id: UUID | None = None,
    limit: int = 1000,
) -> list[UsageSum]:
    """Return sums by time, kind and, if asked for, stream; oldest first.

    Args:
        session: the tenant's.
        tenant_id: whose usage.
        since: start of the range, inclusive.
        until: end of the range, exclusive.
        bucket: the unit of time of each sum.
        by_stream: one sum per stream.
        kinds: only these; all when empty.
        stream_id: only this stream's.
        limit: rows at most; ask for one more than you show to know whether there are more.
    """
    start = func.date_trunc(bucket.value, UsageHour.hour, "UTC").label("start")
    groups: list[SQLColumnExpression[Any]] = [start, UsageHour.kind]
    if by_stream:
        groups.append(UsageHour.stream_id)
    query = select(*groups, func.sum(UsageHour.quantity).label("quantity")).where(
        UsageHour.tenant_id == tenant_id, UsageHour.hour >= since, UsageHour.hour < until
    )
    if kinds:
        query = query.where(UsageHour.kind.in_(kinds))
    if stream_id is not None:
        query = query.where(UsageHour.stream_id == stream_id)
    rows = await session.execute(query.group_by(*groups).order_by(*groups).limit(limit))
    return [_sum(row) for row in rows.mappings()]


def _values(tenant_id: UUID, event: UsageEvent) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "id": event.id,
        "kind": event.kind.value,
        "stream_id": event.stream_id or NO_STREAM,
        "quantity": event.quantity,
        "at": event.at or func.now(),
    }


async def _add(
    session: AsyncSession, tenant_id: UUID, sums: dict[tuple[datetime, str, UUID], Decimal]
) -> None:
    rows = [
        {
            "tenant_id": tenant_id,
            "hour": hour,
            "kind": kind,
            "stream_id": stream_id,
            "quantity": sums[hour, kind, stream_id],
        }
        for hour, kind, stream_id in sorted(sums)
    ]
    statement = insert(UsageHour).values(rows)
    key = (UsageHour.tenant_id, UsageHour.hour, UsageHour.kind, UsageHour.stream_id)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=key,
            set_={"quantity": UsageHour.quantity + statement.excluded.quantity},
        )
    )


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _sum(row: RowMapping) -> UsageSum:
    stream_id = row.get("stream_id")
    return UsageSum(
        start=row["start"],
        kind=UsageKind(row["kind"]),
        stream_id=None if stream_id == NO_STREAM else stream_id,
        quantity=row["quantity"],
    )


async def put_budget(
    session: AsyncSession, *, tenant_id: UUID, kind: UsageKind, monthly: Decimal
) -> UsageBudget:
    """Set a budget. If it changed, thresholds notified this month are notified again."""
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


async def list_budgets(session: AsyncSession, *, tenant_id: UUID) -> list[UsageBudget]:
    """Return a tenant's budgets by kind."""
    return list(
        await session.scalars(
            select(UsageBudget).where(UsageBudget.tenant_id == tenant_id).order_by(UsageBudget.kind)
        )
    )


async def delete_budget(session: AsyncSession, *, tenant_id: UUID, kind: UsageKind) -> bool:
    """Delete a budget. Return True if it existed."""
    removed = await session.scalar(
        delete(UsageBudget)
        .where(UsageBudget.tenant_id == tenant_id, UsageBudget.kind == kind)
        .returning(UsageBudget.kind)
    )
    return removed is not None


async def lock_budgets(
    session: AsyncSession, *, tenant_id: UUID, kinds: Collection[UsageKind]
) -> list[UsageBudget]:
    """Return the budgets of these kinds, locked: concurrent use of them waits.

    Otherwise two transactions that reach a threshold together could each see half of it.
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


async def notify_thresholds(
    session: AsyncSession, budget: UsageBudget, *, month: datetime, used: Decimal
) -> None:
    """Append an event for each threshold reached and not yet notified this month."""
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
                revision=_threshold_revision(budget, percent),
                created_at=now,
            ),
        )
    budget.told_month, budget.told_percent = month, new[-1]
    await session.flush()


def _threshold_revision(budget: UsageBudget, percent: int) -> int:
    """Return the number of a notification: the same percentage of another budget is a new one."""
    return round(budget.updated_at.timestamp() * 1_000_000) * 1000 + percent
