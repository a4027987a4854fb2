"""Sessions belong to a tenant, whatever the pool, errors and cancellations do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from app.dev.postgres import DatabaseUrls
from infra.db.engine import Database, DatabaseUnavailableError, MissingTenantError, asyncpg_url
from tests.factories.rows import new_stream, new_tenant

COUNT = text("SELECT count(*) FROM streams")
SETTING = text("SELECT current_setting('app.tenant_id', true)")


@pytest.fixture
async def single(postgres: DatabaseUrls) -> AsyncIterator[Database]:
    """A pool of one connection, so that every session reuses it."""
    database = Database(postgres.application, pool_size=1, max_overflow=0, pool_timeout=5.0)
    yield database
    await database.close()


async def streams_seen(database: Database, tenant: UUID) -> int:
    async with database.session(tenant) as session:
        return int(await session.scalar(COUNT) or 0)


async def test_a_tenant_sees_its_own_rows_only(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    await new_stream(database, tenant)
    assert await streams_seen(database, tenant) == 1
    assert await streams_seen(database, other_tenant) == 0


async def test_tenants_that_take_turns_on_one_connection_stay_apart(single: Database) -> None:
    tenants = [await new_tenant(single) for _ in range(3)]
    for number, tenant in enumerate(tenants):
        for _ in range(number):
            await new_stream(single, tenant)
    seen = await asyncio.gather(*(streams_seen(single, tenant) for tenant in tenants * 5))
    assert seen == [0, 1, 2] * 5


async def test_a_commit_inside_a_session_keeps_its_tenant(database: Database, tenant: UUID) -> None:
    async with database._sessions(info={"setting": ("app.tenant_id", str(tenant))}) as session:
        await session.execute(COUNT)
        await session.commit()
        assert await session.scalar(SETTING) == str(tenant)


async def test_nothing_of_a_tenant_is_left_on_a_returned_connection(
    single: Database, tenant: UUID
) -> None:
    await streams_seen(single, tenant)
    async with single._engine.connect() as connection:
        assert await connection.scalar(SETTING) == ""
        assert await connection.scalar(COUNT) == 0


async def test_an_error_rolls_back_and_leaves_no_tenant(
    single: Database, tenant: UUID, other_tenant: UUID
) -> None:
    async def fail() -> None:
        async with single.session(tenant) as session:
            await session.execute(
                text("INSERT INTO tenants (id, slug, name) VALUES (:id, 'x', 'x')"), {"id": tenant}
            )

    with pytest.raises(IntegrityError):
        await fail()
    assert await streams_seen(single, other_tenant) == 0


async def test_a_cancelled_session_leaves_nothing_behind(single: Database) -> None:
    tenant = await new_tenant(single)
    inserted, never = asyncio.Event(), asyncio.Event()

    async def interrupted() -> None:
        async with single.session(tenant) as session:
            await _insert_stream(session, tenant)
            inserted.set()
            await never.wait()

    task = asyncio.create_task(interrupted())
    await inserted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await streams_seen(single, tenant) == 0


async def test_a_statement_that_takes_too_long_is_unavailability(
    postgres: DatabaseUrls, tenant: UUID
) -> None:
    database = Database(postgres.application, pool_size=1, statement_timeout=1.0)
    with pytest.raises(DatabaseUnavailableError, match="too long"):
        async with database.session(tenant) as session:
            await session.execute(text("SELECT pg_sleep(60)"))
    await database.close()


async def test_a_session_without_a_tenant_is_refused(database: Database) -> None:
    async with database._sessions() as session:
        with pytest.raises(MissingTenantError):
            await session.execute(COUNT)


async def test_a_tenant_cannot_write_rows_of_another(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.session(tenant) as session:
            await _insert_stream(session, other_tenant)


async def test_a_tenant_cannot_give_its_rows_away(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    await new_stream(database, tenant)
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.session(tenant) as session:
            await session.execute(
                text("UPDATE streams SET tenant_id = :other"), {"other": other_tenant}
            )


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE streams CASCADE",
        "DROP TABLE streams",
        "ALTER TABLE streams DISABLE ROW LEVEL SECURITY",
        "DELETE FROM clips",
        "SET ROLE highlights_owner",
        "CREATE TABLE mine (id int)",
        "SELECT * FROM alembic_version",
    ],
)
async def test_the_application_may_do_no_more_than_it_needs(
    database: Database, tenant: UUID, statement: str
) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        async with database.session(tenant) as session:
            await session.execute(text(statement))


async def test_it_works_behind_a_transaction_pooler(postgres: DatabaseUrls) -> None:
    database = Database(postgres.application, transaction_pooler=True)
    tenant = await new_tenant(database)
    await new_stream(database, tenant)
    assert await asyncio.gather(*(streams_seen(database, tenant) for _ in range(4))) == [1] * 4
    await database.close()


def test_a_url_of_libpq_is_understood() -> None:
    url = asyncpg_url("postgres://app@db.example.com/highlights?sslmode=require")
    assert url.host == "db.example.com"
    assert url.query == {"dsn": "postgresql:///?sslmode=require"}


async def _insert_stream(session: AsyncSession, tenant: UUID) -> None:
    await session.execute(
        text(
            "INSERT INTO streams (tenant_id, id, playlist_url, game, title, profile_id,"
            " profile_version, status)"
            " VALUES (:tenant, gen_random_uuid(), 'u', 'g', '', 'p', '1', 'starting')"
        ),
        {"tenant": tenant},
    )
