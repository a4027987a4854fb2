"""Raw SQL as the application's role stays within its tenant; a dropped guard is noticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.dev.postgres import DatabaseUrls, PostgresServer
from infra.db.engine import Database, asyncpg_url
from infra.db.migration import migrate
from infra.db.tables import Base
from tests.conftest import run_apart
from tests.factories.rows import new_stream, new_tenant
from tests.integration.infra.one_row_each import Row, act_as, fill
from tests.integration.infra.test_migrations import UNPROTECTED

VICTIM, ATTACKER = uuid4(), uuid4()
TABLES = Base.metadata.sorted_tables


@pytest.fixture(scope="module")
def guarded(postgres_server: PostgresServer) -> DatabaseUrls:
    """A database in which the victim has a row in each table and the attacker exists."""
    urls = run_apart(postgres_server.prepare(f"test_{uuid4().hex}"))
    run_apart(_fill(urls))
    return urls


@pytest.fixture
async def scratch(empty_database: DatabaseUrls) -> DatabaseUrls:
    """Such a database of one test, which may open a guard."""
    await _fill(empty_database)
    return empty_database


async def _fill(urls: DatabaseUrls) -> None:
    await migrate(urls.owner)
    await as_owner(urls, fill, VICTIM)
    await as_owner(urls, _exist, ATTACKER)


@asynccontextmanager
async def engine_of_application(urls: DatabaseUrls) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(asyncpg_url(urls.application))
    yield engine
    await engine.dispose()


@pytest.fixture
async def application(guarded: DatabaseUrls) -> AsyncIterator[AsyncEngine]:
    async with engine_of_application(guarded) as engine:
        yield engine


async def as_owner(urls: DatabaseUrls, work: Any, *arguments: Any) -> Any:  # noqa: ANN401
    engine = create_async_engine(asyncpg_url(urls.owner))
    async with engine.begin() as connection:
        result = await connection.run_sync(work, *arguments)
    await engine.dispose()
    return result


def _exist(connection: Connection, tenant: UUID) -> None:
    act_as(connection, tenant)
    connection.execute(
        text("INSERT INTO tenants (id, slug, name) VALUES (:id, 'a', 'A')"), {"id": tenant}
    )


def leaks(connection: Connection) -> set[tuple[str, str]]:
    """What an attacker can do to the victim, by statement and table."""
    found = set()
    for table in TABLES:
        own = table.c.id if table.name == "tenants" else table.c.tenant_id
        attempts = {
            "SELECT": table.select().where(own == VICTIM),
            "UPDATE": table.update().where(own == VICTIM).values({own: own}),
            "DELETE": table.delete().where(own == VICTIM),
            "INSERT": _copy(table),
            "TRUNCATE": text(f"TRUNCATE {table.name} CASCADE"),
        }
        for kind, statement in attempts.items():
            if _succeeds(connection, statement):
                found.add((kind, table.name))
    return found


def _copy(table: Table) -> Any:  # noqa: ANN401
    """A row of the victim's, said by the attacker; what it lacks is looked at after the policy."""
    own = "id" if table.name == "tenants" else "tenant_id"
    values: Row = {column.name: None for column in table.columns if column.identity is None}
    return table.insert().values(values | {own: VICTIM})


def _succeeds(connection: Connection, statement: Any) -> bool:  # noqa: ANN401
    """Whether a statement did anything: refused or without a row it did not."""
    savepoint = connection.begin_nested()
    try:
        act_as(connection, ATTACKER)
        result = connection.execute(statement)
        touched = bool(result.all()) if result.returns_rows else result.rowcount != 0
    except IntegrityError:
        touched = True  # it got past the policy
    except DBAPIError:
        touched = False
    savepoint.rollback()
    return touched


async def found_leaks(engine: AsyncEngine) -> set[tuple[str, str]]:
    async with engine.connect() as connection:
        return await connection.run_sync(leaks)


async def test_no_statement_reaches_another_tenants_rows(application: AsyncEngine) -> None:
    assert await found_leaks(application) == set()


@pytest.mark.parametrize(
    ("mutation", "leak"),
    [
        ("ALTER TABLE streams DISABLE ROW LEVEL SECURITY", ("SELECT", "streams")),
        ("CREATE POLICY open ON clips FOR SELECT USING (true)", ("SELECT", "clips")),
        ("CREATE POLICY open ON usage_hourly USING (true)", ("UPDATE", "usage_hourly")),
        ("CREATE POLICY open ON gaps FOR INSERT WITH CHECK (true)", ("INSERT", "gaps")),
        ("GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO highlights_app", ("TRUNCATE", "clips")),
    ],
)
async def test_an_opened_guard_is_noticed(
    scratch: DatabaseUrls, mutation: str, leak: tuple[str, str]
) -> None:
    await as_owner(scratch, lambda connection: connection.execute(text(mutation)))
    async with engine_of_application(scratch) as application:
        assert leak in await found_leaks(application)


async def test_a_dropped_policy_is_noticed_whichever_it_is(guarded: DatabaseUrls) -> None:
    assert await as_owner(guarded, _unprotected_by_drop) == {
        table.name: [(table.name,)] for table in TABLES
    }


def _unprotected_by_drop(connection: Connection) -> dict[str, list[Any]]:
    found = {}
    for name in [table.name for table in TABLES]:
        savepoint = connection.begin_nested()
        connection.execute(text(f"DROP POLICY {name}_tenant ON {name}"))
        found[name] = list(connection.execute(UNPROTECTED))
        savepoint.rollback()
    return found


async def test_no_row_can_refer_to_another_tenants(application: AsyncEngine) -> None:
    """Foreign keys are checked without the policies, so that each must name the tenant."""
    for table in TABLES:
        parents = {key.column.table.name for key in table.foreign_keys} - {"tenants"}
        if not parents:
            continue
        async with application.connect() as connection:
            stolen = await connection.run_sync(_row_of_victim, table)
            statement = table.insert().values(stolen | {"tenant_id": ATTACKER})
            await connection.run_sync(act_as, ATTACKER)
            with pytest.raises(IntegrityError, match="foreign key"):
                await connection.execute(statement)


def _row_of_victim(connection: Connection, table: Table) -> Row:
    act_as(connection, VICTIM)
    row = connection.execute(table.select()).mappings().first()
    assert row is not None
    stolen = {
        name: value
        for name, value in row.items()
        if table.c[name].identity is None and table.c[name].computed is None
    }
    for constraint in table.foreign_key_constraints:
        if constraint.referred_table is table:  # a row of the attacker's beside the victim's
            stolen |= {key.parent.name: row[key.column.name] for key in constraint.elements}
            stolen["id"] = uuid4()
    return stolen


@pytest.mark.parametrize(
    "statements",
    [
        ("SET row_security = off", "SELECT * FROM streams"),
        ("SET SESSION AUTHORIZATION highlights_owner",),
        ("SET ROLE postgres",),
        ("ALTER ROLE highlights_app BYPASSRLS",),
        ("ALTER TABLE clips NO FORCE ROW LEVEL SECURITY",),
        ("CREATE POLICY mine ON clips USING (true)",),
        ("DROP POLICY clips_tenant ON clips",),
        ("GRANT highlights_owner TO highlights_app",),
        ("CREATE FUNCTION peek(text) RETURNS bool LANGUAGE sql COST 0.01 AS 'SELECT true'",),
        ("CREATE VIEW all_streams AS SELECT * FROM streams",),
        ("COPY streams TO PROGRAM 'cat'",),
        ("SELECT set_config('app.tenant_id', 'x'' OR true --', true)", "SELECT * FROM streams"),
        ("SELECT set_config('app.tenant_id', '%', true)", "SELECT * FROM streams"),
    ],
)
async def test_no_trick_opens_the_door(
    application: AsyncEngine, statements: tuple[str, ...]
) -> None:
    async with application.connect() as connection:
        await connection.run_sync(act_as, ATTACKER)
        for statement in statements[:-1]:
            await connection.execute(text(statement))
        with pytest.raises(DBAPIError):
            await connection.execute(text(statements[-1]))


async def test_statistics_tell_nothing_of_other_tenants(
    guarded: DatabaseUrls, application: AsyncEngine
) -> None:
    await as_owner(guarded, lambda connection: connection.execute(text("ANALYZE streams")))
    async with application.connect() as connection:
        await connection.run_sync(act_as, ATTACKER)
        seen = await connection.execute(
            text("SELECT attname FROM pg_stats WHERE tablename = 'streams'")
        )
        assert seen.all() == []


async def test_a_setting_left_on_a_connection_does_not_outlive_its_session(
    postgres: DatabaseUrls,
) -> None:
    """`set_config(…, false)` lasts as long as the connection, which the pool gives to the next."""
    database = Database(postgres.application, pool_size=1, max_overflow=0)
    first, second = await new_tenant(database), await new_tenant(database)
    await new_stream(database, first)
    async with database.session(first) as session:
        await session.execute(
            text("SELECT set_config('app.tenant_id', :id, false)"), {"id": str(first)}
        )
    async with database.session(second) as session:
        assert await session.scalar(text("SELECT count(*) FROM streams")) == 0
    await database.close()
