"""Connections are found before a tenant is known, and nothing else is."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from infra.db.engine import Database
from infra.db.repositories import connections
from tests.factories.rows import CONNECTION_SECRETS, new_connection, new_stream

TABLES = ("connections", "streams", "tenants", "inbound_events", "beams", "closed_sessions")


async def test_an_id_finds_its_connection_and_no_other_row_of_any_table(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    mine = await new_connection(database, tenant)
    await new_connection(database, tenant)
    await new_connection(database, other_tenant)
    await new_stream(database, tenant)
    async with database.connection_session(mine) as session:
        found = await connections.find(session, connection_id=mine)
        counts = {
            table: await session.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608
            for table in TABLES
        }
    assert found is not None
    assert found.tenant_id == tenant
    assert counts == dict.fromkeys(TABLES, 0) | {"connections": 1}


async def test_a_workspace_finds_the_connections_that_name_it(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    workspace = uuid4().hex
    named = {
        await new_connection(database, tenant, account=workspace),
        await new_connection(database, other_tenant, app=workspace),
    }
    await new_connection(database, tenant)
    async with database.workspace_session(workspace) as session:
        found = await connections.find_by_workspace(session, workspace=workspace)
        others = await session.scalar(text("SELECT count(*) FROM streams"))
    assert {each.id for each in found} == named
    assert others == 0


@pytest.mark.parametrize(
    "statement", ["UPDATE connections SET name = 'x'", "DELETE FROM connections"]
)
async def test_who_knows_only_an_id_changes_nothing(
    database: Database, tenant: UUID, statement: str
) -> None:
    mine = await new_connection(database, tenant)
    async with database.connection_session(mine) as session:
        changed = await session.execute(text(f"{statement} RETURNING id"))
        assert changed.all() == []
    async with database.session(tenant) as session:
        found = await connections.get(session, tenant_id=tenant, connection_id=mine)
    assert found is not None
    assert found.name == "Cup"


async def test_a_session_of_no_connection_sees_none(database: Database, tenant: UUID) -> None:
    await new_connection(database, tenant)
    async with database.workspace_session("") as session:
        assert await session.scalar(text("SELECT count(*) FROM connections")) == 0


async def test_connections_with_a_management_key_are_those_that_can_be_asked_for(
    database: Database, tenant: UUID
) -> None:
    with_key = await new_connection(database, tenant)
    await new_connection(database, tenant)
    async with database.session(tenant) as session:
        values = {
            "management_access_key": "access",
            "management_secret": CONNECTION_SECRETS.encrypt("secret", connection_id=with_key),
        }
        await connections.update(session, tenant_id=tenant, connection_id=with_key, values=values)
        (found,) = await connections.list_managed(session, tenant_id=tenant)
    key = CONNECTION_SECRETS.management_key(found)
    assert key is not None
    assert (found.id, key.access_key, key.secret) == (with_key, "access", b"secret")
