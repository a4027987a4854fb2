"""What Gemini costs is in the tenant's usage, once, and the budget is what is left of that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from activities.analysis.gemini_answers import GeminiSpending
from app.dev.supervisor import free_ports
from domain.analysis.gemini.budget import TenantBudget
from domain.analysis.gemini.pricing import TokenUsage
from domain.tenants.usage import UsageKind
from infra.db.engine import Database
from infra.db.repositories import usage
from infra.gemini import GeminiClient
from infra.media.pool import MediaPool
from tests.factories.scenes import STREAM, Scene
from tests.fakes.gemini import FakeGemini
from tests.integration.gemini.stage import Stage

TOKENS = TokenUsage(text=900, output=100)


async def used(database: Database, tenant: UUID) -> dict[UsageKind, Decimal]:
    """Return what the tenant has used since yesterday, of its one stream."""
    now = datetime.now(UTC)
    async with database.session(tenant) as session:
        rows = await usage.stats(
            session,
            tenant_id=tenant,
            since=now - timedelta(days=1),
            until=now + timedelta(days=1),
            stream_id=STREAM,
        )
    sums: dict[UsageKind, Decimal] = {}
    for row in rows:
        sums[row.kind] = sums.get(row.kind, Decimal(0)) + row.quantity
    return sums


@pytest.fixture
async def away() -> AsyncIterator[Database]:
    """A database that is not there."""
    (port,) = free_ports(1)
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", connect_timeout=0.5)
    yield database
    await database.close()


@pytest.fixture
def staged(
    scene: Scene, pool: MediaPool, client: GeminiClient, tenant: UUID
) -> Callable[[Database], Stage]:
    """Make a stage whose spending is metered in a database."""

    def make(database: Database) -> Stage:
        spending = GeminiSpending(database, TenantBudget())
        return Stage(scene, pool, client, spending=spending, tenant_id=tenant)

    return make


async def record(spending: GeminiSpending, tenant: UUID, key: str, dollars: float) -> None:
    await spending.record(tenant, STREAM, key=key, tokens=TOKENS, dollars=dollars)


async def test_tokens_and_dollars_of_every_call_are_metered_once(
    staged: Callable[[Database], Stage],
    fake_gemini: FakeGemini,
    database: Database,
    tenant: UUID,
) -> None:
    stage = staged(database)
    await stage.analyze_all()
    report = stage.report()
    await stage.analyze_all()
    assert len(fake_gemini.answers) == report.calls == 3
    assert await used(database, tenant) == {
        UsageKind.GEMINI_TOKENS: report.usage.total,
        UsageKind.GEMINI_COST_USD: pytest.approx(Decimal(str(report.dollars)), abs=Decimal("3e-6")),
    }


async def test_an_answer_metered_twice_counts_once(database: Database, tenant: UUID) -> None:
    spending = GeminiSpending(database, TenantBudget())
    for key in ("a", "a", "b"):
        await record(spending, tenant, key, 0.25)
    assert (await used(database, tenant))[UsageKind.GEMINI_COST_USD] == Decimal("0.5")


async def test_an_answer_that_cost_nothing_is_not_metered(database: Database, tenant: UUID) -> None:
    spending = GeminiSpending(database, TenantBudget())
    await spending.record(tenant, STREAM, key="a", tokens=TokenUsage(), dollars=0.0)
    assert await used(database, tenant) == {}


async def test_what_is_spent_is_no_longer_left_to_its_tenant_alone(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    budget = TenantBudget(dollars_per_hour=5.0, dollars_per_month=1.0)
    one, another = GeminiSpending(database, budget), GeminiSpending(database, budget)
    await record(one, tenant, "a", 0.4)
    assert await another.remaining_dollars(tenant) == pytest.approx(0.6)
    await record(another, tenant, "b", 0.7)
    assert await one.remaining_dollars(tenant) == 0.0
    assert await one.remaining_dollars(other_tenant) == 1.0


async def test_without_a_database_no_tenant_is_limited_and_nothing_fails(
    away: Database, tenant: UUID
) -> None:
    spending = GeminiSpending(away, TenantBudget(dollars_per_hour=0.0))
    await record(spending, tenant, "a", 0.1)
    assert await spending.remaining_dollars(tenant) == float("inf")


async def test_what_could_not_be_metered_is_metered_when_it_is_next_used(
    staged: Callable[[Database], Stage], away: Database, database: Database, tenant: UUID
) -> None:
    await staged(away).analyze_all()
    await staged(database).analyze_all()
    assert (await used(database, tenant))[UsageKind.GEMINI_TOKENS] > 0
