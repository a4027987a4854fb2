"""Connections that broke while they were idle cost nobody an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from asyncpg import Connection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database import Database, DatabaseUnavailableError
from infra.driver_connection import set_locally
from infra.embedded.postgres import DatabaseUrls
from tests.integration.rows import new_tenant

ONE = text("SELECT 1")
PID = text("SELECT pg_backend_pid()")
TERMINATE = text("SELECT pg_terminate_backend(:pid, 5000)")


@pytest.fixture
async def pooled(postgres: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(postgres.application, pool_size=3, max_overflow=0)
    yield database
    await database.close()


async def driver_of(session: AsyncSession) -> Connection:
    connection = await session.connection()
    return (await connection.get_raw_connection()).driver_connection


async def terminate(database: Database, tenant: UUID, *pids: int) -> None:
    async with database.session(tenant) as session:
        for pid in pids:
            assert await session.scalar(TERMINATE, {"pid": pid})


async def test_all_idle_connections_may_have_broken(database: Database, pooled: Database) -> None:
    tenant = await new_tenant(database)
    async with (
        pooled.session(tenant) as first,
        pooled.session(tenant) as second,
        pooled.session(tenant) as third,
    ):
        pids = [await session.scalar(PID) for session in (first, second, third)]
    await terminate(database, tenant, *pids)
    for _ in pids:
        async with pooled.session(tenant) as session:
            assert await session.scalar(ONE) == 1
            assert await session.scalar(PID) not in pids


async def test_one_that_breaks_within_a_transaction_is_told(
    database: Database, pooled: Database
) -> None:
    tenant = await new_tenant(database)

    async def lose_the_connection() -> None:
        async with pooled.session(tenant) as session:
            await terminate(database, tenant, await session.scalar(PID))
            await session.scalar(ONE)

    with pytest.raises(DatabaseUnavailableError):
        await lose_the_connection()
    async with pooled.session(tenant) as session:
        assert await session.scalar(ONE) == 1


async def test_a_transaction_begins_and_is_scoped_in_one_message(postgres: DatabaseUrls) -> None:
    single = Database(postgres.application, pool_size=1, max_overflow=0)
    tenant = await new_tenant(single)
    sent: list[str] = []
    async with single.session(tenant) as session:
        (await driver_of(session)).add_query_logger(lambda record: sent.append(record.query))
    sent.clear()  # of what is not prepared, all is told
    async with single.session(tenant) as session:
        assert await session.scalar(ONE) == 1
    await single.close()
    assert sent == [
        f"BEGIN; {set_locally('app.tenant_id', str(tenant))}",
        "COMMIT;",
    ]


@pytest.mark.parametrize("words", ["", "it's", "', true); SELECT pg_sleep(9); --", "\\'", "ö$$"])
async def test_what_a_transaction_is_scoped_by_may_be_anybodys_words(
    database: Database, words: str
) -> None:
    setting = text("SELECT current_setting('app.hms_workspace')")
    async with database.workspace_session(words) as session:
        assert await session.scalar(setting) == words


async def test_a_nul_in_it_leaves_the_connections_usable(database: Database) -> None:
    with pytest.raises(ValueError, match="NUL"):
        async with database.workspace_session("a\0b"):
            pass
    async with database.session(uuid4()) as session:
        assert await session.scalar(ONE) == 1
