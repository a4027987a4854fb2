"""Any session can list the ids of all tenants, and nothing else of theirs."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from infra.db.engine import Database


async def test_all_tenants_are_found_without_being_one(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    found = await database.tenant_ids()
    assert {tenant, other_tenant} <= set(found)
    assert len(found) == len(set(found))


async def test_a_tenants_own_session_finds_them_too(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    async with database.session(tenant) as session:
        assert other_tenant in await session.scalars(text("SELECT tenant_ids()"))


@pytest.mark.parametrize("setting", ["", "00000000-0000-0000-0000-000000000000"])
async def test_names_stay_hidden(
    database: Database, tenant: UUID, other_tenant: UUID, setting: str
) -> None:
    async with database.session(tenant) as session:
        await session.execute(
            text("SELECT set_config('app.tenant_id', :id, true)"), {"id": setting}
        )
        assert list(await session.execute(text("SELECT slug FROM tenants"))) == []
