"""A transaction sets its scope before any other statement, or its connection is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import event, text

from app.dev.postgres import DatabaseUrls
from infra.db.engine import Database
from tests.factories.rows import new_stream, new_tenant

ONE = text("SELECT 1")
TENANT = text("SELECT current_setting('app.tenant_id', true)")
WORKSPACE = text("SELECT current_setting('app.hms_workspace')")
STREAMS = text("SELECT count(*) FROM streams")


@pytest.fixture
async def single(postgres: DatabaseUrls) -> AsyncIterator[Database]:
    """A pool of one connection, so that every session reuses it."""
    database = Database(postgres.application, pool_size=1, max_overflow=0, pool_timeout=5.0)
    yield database
    await database.close()


async def test_the_first_statement_sets_the_scope(single: Database) -> None:
    tenant = uuid4()
    sent: list[tuple[str, object]] = []

    def note(
        _connection: object, _cursor: object, statement: str, parameters: object, *_: object
    ) -> None:
        sent.append((statement, parameters))

    event.listen(single._engine.sync_engine, "before_cursor_execute", note)
    async with single.session(tenant) as session:
        assert await session.scalar(ONE) == 1
    (first, parameters), second = sent
    assert "set_config" in first
    assert parameters == ("app.tenant_id", str(tenant))
    assert second == ("SELECT 1", ())


async def test_what_is_written_after_a_savepoint_is_committed(single: Database) -> None:
    tenant = await new_tenant(single)
    await new_stream(single, tenant)
    delete = text("DELETE FROM streams WHERE tenant_id = :tenant")
    async with single.session(tenant) as session:
        async with session.begin_nested():
            assert await session.scalar(TENANT) == str(tenant)
        await session.execute(delete, {"tenant": tenant})
    async with single.session(tenant) as session:
        assert await session.scalar(STREAMS) == 0


async def test_a_begin_that_is_cancelled_leaves_no_transaction_to_the_next(
    single: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await new_tenant(single)
    execute = asyncpg.Connection.execute

    async def cancelled(connection: asyncpg.Connection, query: str, **options: object) -> str:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)  # when it has been sent
        return str(await execute(connection, query, **options))

    async def begin() -> None:
        async with single.session(tenant):
            pass

    await begin()  # opening a connection sends statements too
    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "execute", cancelled)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(begin())
    async with single._engine.connect() as connection:
        assert await connection.scalar(TENANT) in {None, ""}
    other = uuid4()
    async with single.session(other) as session:
        assert await session.scalar(TENANT) == str(other)


@pytest.mark.parametrize("words", ["", "it's", "', true); SELECT pg_sleep(9); --", "\\'", "ö$$"])
async def test_it_may_be_scoped_by_anybodys_words(database: Database, words: str) -> None:
    async with database.workspace_session(words) as session:
        assert await session.scalar(WORKSPACE) == words


async def test_a_nul_in_them_leaves_the_connections_usable(single: Database, tenant: UUID) -> None:
    with pytest.raises(ValueError, match="NUL"):
        async with single.workspace_session("a\0b"):
            pass
    async with single.session(tenant) as session:
        assert await session.scalar(TENANT) == str(tenant)
