"""Connections that broke while they were idle cost nobody an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.dev.postgres import DatabaseUrls, PostgresServer
from infra.db.engine import Database, DatabaseUnavailableError
from tests.factories.rows import new_tenant

ONE = text("SELECT 1")
PID = text("SELECT pg_backend_pid()")
TERMINATE = text("SELECT pg_terminate_backend(:pid, 5000)")
POOL = 3


@pytest.fixture
async def pooled(postgres: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(postgres.application, pool_size=POOL, max_overflow=0)
    yield database
    await database.close()


async def fill(pooled: Database) -> list[int]:
    """Let the pool open all its connections; return the ids of their servers' processes."""
    barrier = asyncio.Barrier(POOL)

    async def hold() -> int:
        async with pooled.session(uuid4()) as session:
            await barrier.wait()
            return int(await session.scalar(PID) or 0)

    return await asyncio.gather(*(hold() for _ in range(POOL)))


async def terminate(database: Database, *pids: int) -> None:
    async with database.session(uuid4()) as session:
        for pid in pids:
            assert await session.scalar(TERMINATE, {"pid": pid})


async def test_all_idle_connections_may_have_broken(database: Database, pooled: Database) -> None:
    pids = await fill(pooled)
    await terminate(database, *pids)
    assert set(await fill(pooled)).isdisjoint(pids)


async def test_the_one_request_after_a_break_finds_a_fresh_connection(
    database: Database, pooled: Database
) -> None:
    await terminate(database, *await fill(pooled))
    async with pooled.session(uuid4()) as session:
        assert await session.scalar(ONE) == 1


async def test_the_state_of_the_server_is_known_after_a_broken_connection(
    database: Database, pooled: Database
) -> None:
    await terminate(database, *await fill(pooled))
    await pooled.ping()
    await terminate(database, *await fill(pooled))
    await pooled.tenants_to_send_for()


async def test_a_restart_of_the_server_causes_no_error(server_path: Path) -> None:
    async with AsyncExitStack() as stack:

        async def start() -> tuple[PostgresServer, DatabaseUrls]:
            server = PostgresServer(server_path / "data", log=server_path / "log", durable=False)
            stack.callback(server.stop)
            return server, await server.prepare()

        server, urls = await start()
        pooled = Database(urls.application, pool_size=POOL, max_overflow=0)
        stack.push_async_callback(pooled.close)
        await fill(pooled)
        server.stop()
        server, _ = await start()
        await fill(pooled)
        server.stop()
        with pytest.raises(DatabaseUnavailableError):
            await pooled.ping()


async def test_a_connection_that_breaks_within_a_transaction_is_reported(
    database: Database, pooled: Database
) -> None:
    tenant: UUID = await new_tenant(database)

    async def lose_the_connection() -> None:
        async with pooled.session(tenant) as session:
            await terminate(database, int(await session.scalar(PID) or 0))
            await session.scalar(ONE)

    with pytest.raises(DatabaseUnavailableError):
        await lose_the_connection()
    async with pooled.session(tenant) as session:
        assert await session.scalar(ONE) == 1
