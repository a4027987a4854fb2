"""Plans are remembered for a while, and changed ones come to count."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app.services.tenants import PLAN_LIFETIME, TenantPlans
from domain.tenants.usage import PlanName
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import tenants


async def set_plan(database: Database, tenant: UUID, plan: PlanName | None) -> bool:
    async with database.session(tenant) as session:
        return await tenants.set_plan(session, tenant_id=tenant, plan=plan)


async def test_a_tenant_without_a_plan_has_the_default_one(
    database: Database, tenant: UUID
) -> None:
    plans = TenantPlans(database, default=PlanName.STARTER)
    assert (await plans.of(tenant)).name == PlanName.STARTER


async def test_a_changed_plan_counts_once_the_old_one_is_forgotten(
    database: Database, tenant: UUID
) -> None:
    now = [0.0]
    plans = TenantPlans(database, default=PlanName.FREE, clock=lambda: now[0])
    assert (await plans.of(tenant)).name == PlanName.FREE
    assert await set_plan(database, tenant, PlanName.PRO)
    now[0] += PLAN_LIFETIME - 1
    assert (await plans.of(tenant)).name == PlanName.FREE
    now[0] += 1
    assert (await plans.of(tenant)).name == PlanName.PRO


async def test_another_tenants_plan_can_be_neither_read_nor_changed(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    async with database.session(other_tenant) as session:
        assert not await tenants.set_plan(session, tenant_id=tenant, plan=PlanName.PRO)
        assert await tenants.get(session, tenant_id=tenant) is None
        for lock in (False, True):
            with pytest.raises(RecordMissingError):
                await tenants.plan_of(session, tenant_id=tenant, lock=lock)


async def test_an_unknown_tenant_has_no_plan(database: Database) -> None:
    nobody = uuid4()
    assert not await set_plan(database, nobody, PlanName.PRO)
    with pytest.raises(RecordMissingError):
        await TenantPlans(database, default=PlanName.FREE).of(nobody)
