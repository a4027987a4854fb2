"""The release before this one works on the new schema: migrations only add until the next one.

`migrations/released.txt` names the newest revision of that release. What its code knows of the
tables is reflected there; its statements are then run on the newest schema.
"""

from __future__ import annotations

from importlib.resources import files
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, MetaData, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from app.dev.postgres import DatabaseUrls
from infra.db.engine import asyncpg_url
from infra.db.migration import migrate
from tests.integration.infra.one_row_each import fill, reflected

RELEASED = files("migrations").joinpath("released.txt").read_text("utf-8").strip()


def use(connection: Connection, tables: MetaData) -> list[str]:
    """Insert, update, read and delete a row of each table as code does that knows these tables."""
    tenant = uuid4()
    fill(connection, tenant, tables)
    read = []
    for table in tables.sorted_tables:
        own = table.c.id if table.name == "tenants" else table.c.tenant_id
        stored = [each for each in table.columns if each.computed is None and not each.identity]
        (row,) = connection.execute(select(table).where(own == tenant)).mappings().all()
        values = {each.name: row[each.name] for each in stored}
        connection.execute(table.update().where(own == tenant).values(values))
        read.append(table.name)
    for table in reversed(tables.sorted_tables):
        own = table.c.id if table.name == "tenants" else table.c.tenant_id
        if table.name != "audit_log":  # which keeps its entries, and with them the tenant
            connection.execute(table.delete().where(own == tenant))
        else:
            break
    return read


async def released_tables(urls: DatabaseUrls, tenant: UUID) -> MetaData:
    """Migrate as far as the release before did, and write a row of each table there."""
    await migrate(urls.owner, RELEASED)
    engine = create_async_engine(asyncpg_url(urls.owner))
    try:
        async with engine.begin() as connection:
            tables = await connection.run_sync(reflected)
            await connection.run_sync(fill, tenant, tables)
            return tables
    finally:
        await engine.dispose()


async def test_the_release_before_works_on_the_newest_schema(empty_database: DatabaseUrls) -> None:
    tables = await released_tables(empty_database, uuid4())
    await migrate(empty_database.owner)
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    try:
        async with engine.begin() as connection:
            names = await connection.run_sync(use, tables)
        assert {"streams", "highlights", "clips", "events"} < set(names)
    finally:
        await engine.dispose()


REQUIRED = "ADD COLUMN kind text NOT NULL DEFAULT 'x', ALTER COLUMN kind DROP DEFAULT"
NARROWED = "DROP CONSTRAINT ck_exports_status, ADD CHECK (status = 'other') NOT VALID"


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE streams DROP COLUMN notice",
        "ALTER TABLE clips RENAME COLUMN message TO reason",
        f"ALTER TABLE highlights {REQUIRED}",
        f"ALTER TABLE exports {NARROWED}",
    ],
    ids=["drop", "rename", "required", "narrowed"],
)
async def test_a_schema_that_it_cannot_use_is_noticed(
    empty_database: DatabaseUrls, change: str
) -> None:
    tables = await released_tables(empty_database, uuid4())
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    try:
        async with engine.begin() as connection:
            await connection.execute(text(change))
        with pytest.raises(DBAPIError):
            async with engine.begin() as connection:
                await connection.run_sync(use, tables)
    finally:
        await engine.dispose()
