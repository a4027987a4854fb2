"""Connections that follow streams read their changes together."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.streams.watch import StreamWatch
from infra.db.engine import Database, DatabaseUnavailableError
from tests.factories.rows import new_highlight, new_stream
from tests.integration.api.conftest import Account

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class CountedDatabase:
    """Counts the transactions of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.tenants: list[UUID] = []

    @asynccontextmanager
    async def session(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        self.tenants.append(tenant_id)
        async with self._database.session(tenant_id) as session:
            yield session


@pytest.fixture
def counted(database: Database) -> CountedDatabase:
    return CountedDatabase(database)


@pytest.fixture
def watch(counted: CountedDatabase) -> StreamWatch:
    return StreamWatch(counted, interval=0.2)  # type: ignore[arg-type]


async def test_connections_of_a_tenant_share_a_transaction_and_get_the_changes_of_their_stream(
    watch: StreamWatch, counted: CountedDatabase, database: Database, account: Account
) -> None:
    tenant = account.tenant_id
    first, second = [await new_stream(database, tenant) for _ in range(2)]
    highlight = await new_highlight(database, tenant, first)
    looks = await asyncio.gather(
        *(
            watch.look(tenant_id=tenant, stream_id=stream, since=LONG_AGO)
            for stream in (first, second, first)
        )
    )
    found = [[each.highlight_id for each in look.changes] for look in looks]
    assert found == [[highlight], [], [highlight]]
    assert counted.tenants == [tenant]


async def test_a_stream_of_another_tenant_has_no_revision_and_no_changes(
    watch: StreamWatch, database: Database, account: Account, other_account: Account
) -> None:
    stream = await new_stream(database, other_account.tenant_id)
    await new_highlight(database, other_account.tenant_id, stream)
    look = await watch.look(tenant_id=account.tenant_id, stream_id=stream, since=LONG_AGO)
    assert (look.revision, look.changes) == (None, ())


class AwayDatabase:
    """Cannot be reached."""

    @asynccontextmanager
    async def session(self, _: UUID) -> AsyncIterator[AsyncSession]:
        raise DatabaseUnavailableError
        yield


async def test_a_read_that_fails_after_its_connections_have_gone_is_no_unhandled_error() -> None:
    unhandled: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    watch = StreamWatch(AwayDatabase(), interval=0.01)  # type: ignore[arg-type]
    look = asyncio.create_task(watch.look(tenant_id=uuid4(), stream_id=uuid4(), since=LONG_AGO))
    await asyncio.sleep(0)
    look.cancel()
    await asyncio.sleep(0.1)
    del look
    gc.collect()
    assert unhandled == []
