"""The release before this one works on the new schema: migrations only add until the next one.

`migrations/released.txt` names the newest revision of that release. What its code knows of the
tables is reflected there; its statements are then run on the newest schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from uuid import uuid4

import pytest
from sqlalchemy import Connection, MetaData, and_, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from app.dev.postgres import DatabaseUrls
from infra.db.engine import asyncpg_url
from infra.db.migration import migrate
from tests.integration.infra.one_row_each import Row, act_as, fill, reflected

RELEASED = files("migrations").joinpath("released.txt").read_text("utf-8").strip()


KEPT = {"audit_log", "tenants"}
"""Tables whose rows are only added: the database itself keeps the log, and with it the tenant."""


@dataclass(frozen=True)
class Release:
    """What a release knows: its tables, and a row that it has written into each."""

    tables: MetaData
    rows: dict[str, Row]

    def use(self, connection: Connection) -> None:
        """Insert, read, update and delete a row of each table, as code of the release does."""
        tenant = uuid4()
        act_as(connection, tenant)
        for table in self.tables.sorted_tables:
            own = {"id": tenant, "slug": str(tenant)} if table.name == "tenants" else {}
            row = {**self.rows[table.name], **(own or {"tenant_id": tenant})}
            connection.execute(table.insert().values(row))
            this = and_(*(column == row[column.name] for column in table.primary_key))
            assert connection.execute(select(table).where(this)).mappings().one()
            if table.name not in KEPT:
                connection.execute(table.update().where(this).values(row))
        for table in reversed(self.tables.sorted_tables):
            if table.name not in KEPT:
                connection.execute(table.delete().where(table.c.tenant_id == tenant))


async def released(urls: DatabaseUrls) -> Release:
    """Migrate as far as the release before did, and write a row of each table there."""
    await migrate(urls.owner, RELEASED)
    engine = create_async_engine(asyncpg_url(urls.owner))
    try:
        async with engine.begin() as connection:
            tables = await connection.run_sync(reflected)
            return Release(tables, await connection.run_sync(fill, uuid4()))
    finally:
        await engine.dispose()


async def test_the_release_before_works_on_the_newest_schema(empty_database: DatabaseUrls) -> None:
    release = await released(empty_database)
    await migrate(empty_database.owner)
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(release.use)
        assert {"streams", "highlights", "clips", "events"} < release.rows.keys()
    finally:
        await engine.dispose()


REQUIRED = "ADD COLUMN kind text, ADD CHECK (kind IS NOT NULL) NOT VALID"
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
    release = await released(empty_database)
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    try:
        async with engine.begin() as connection:
            await connection.execute(text(change))
        with pytest.raises(DBAPIError):
            async with engine.begin() as connection:
                await connection.run_sync(release.use)
    finally:
        await engine.dispose()
