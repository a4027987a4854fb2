"""Who reaches a share of a budget is told once, in the transaction that reaches it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from domain.tenants.usage import UsageKind, usage_event
from domain.webhooks.events import EventType
from infra.db.engine import Database
from infra.db.repositories import events, usage

MAY = datetime(2026, 5, 15, tzinfo=UTC)


@pytest.fixture
async def budget(database: Database, tenant: UUID) -> Decimal:
    """100 clips a month."""
    return await put(database, tenant, 100)


async def put(database: Database, tenant: UUID, monthly: int) -> Decimal:
    async with database.session(tenant) as session:
        row = await usage.put_budget(
            session,
            tenant_id=tenant,
            kind=UsageKind.CLIP_RENDERED,
            monthly=Decimal(monthly),
        )
    return row.monthly


async def render(
    database: Database, tenant: UUID, clips: int, *, name: str, at: datetime = MAY
) -> None:
    used = usage_event(UsageKind.CLIP_RENDERED, clips, subject=name, at=at)
    async with database.session(tenant) as session:
        await usage.meter(session, tenant_id=tenant, events=[used])


async def told(database: Database, tenant: UUID) -> list[tuple[object, object, object]]:
    async with database.session(tenant) as session:
        found = await events.undispatched(session, tenant_id=tenant)
    assert {each.type for each in found} <= {EventType.USAGE_THRESHOLD}
    return [(each.data["period"], each.data["percent"], each.data["used"]) for each in found]


async def test_each_threshold_is_notified_once(
    database: Database, tenant: UUID, budget: Decimal
) -> None:
    await render(database, tenant, 49, name="a")
    assert await told(database, tenant) == []
    for _ in range(2):
        await render(database, tenant, 2, name="b")
    await render(database, tenant, 20, name="c")
    assert await told(database, tenant) == [("2026-05", 50, 51.0)]
    await render(database, tenant, 40, name="d")
    assert [percent for _, percent, _ in await told(database, tenant)] == [50, 80, 100]


async def test_a_new_month_resets_the_thresholds(
    database: Database, tenant: UUID, budget: Decimal
) -> None:
    await render(database, tenant, 60, name="a")
    await render(database, tenant, 60, name="b", at=MAY + timedelta(days=31))
    await render(database, tenant, 1, name="late")
    assert await told(database, tenant) == [("2026-05", 50, 60.0), ("2026-06", 50, 60.0)]


async def test_those_who_reach_it_together_miss_nothing(
    database: Database, tenant: UUID, budget: Decimal
) -> None:
    await asyncio.gather(*(render(database, tenant, 10, name=str(n)) for n in range(5)))
    assert await told(database, tenant) == [("2026-05", 50, 50.0)]


async def test_without_a_budget_nothing_is_notified(database: Database, tenant: UUID) -> None:
    await render(database, tenant, 1000, name="a")
    assert await told(database, tenant) == []


async def test_a_changed_budget_is_notified_again(
    database: Database, tenant: UUID, budget: Decimal
) -> None:
    await render(database, tenant, 60, name="a")
    await put(database, tenant, 100)
    await render(database, tenant, 1, name="b")
    await put(database, tenant, 61)
    await render(database, tenant, 1, name="c")
    assert [percent for _, percent, _ in await told(database, tenant)] == [50, 50, 80, 100]


async def test_a_budget_is_taken_away_once(
    database: Database, tenant: UUID, budget: Decimal
) -> None:
    kind = UsageKind.CLIP_RENDERED
    async with database.session(tenant) as session:
        assert [each.kind for each in await usage.list_budgets(session, tenant_id=tenant)] == [kind]
        assert await usage.delete_budget(session, tenant_id=tenant, kind=kind)
        assert not await usage.delete_budget(session, tenant_id=tenant, kind=kind)
        assert await usage.list_budgets(session, tenant_id=tenant) == []
