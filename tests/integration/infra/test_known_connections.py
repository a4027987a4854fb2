"""Connections are remembered for seconds, and never longer than what they say is true here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.services.connections import LIFETIME, ConnectionCache
from infra.db.engine import Database
from infra.db.repositories import connections
from tests.factories.rows import CONNECTION_SECRETS, new_connection
from tests.fakes.clock import FakeClock

NOW = datetime(2026, 5, 2, 19, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(begin=NOW)


@pytest.fixture
def known(database: Database, clock: FakeClock) -> ConnectionCache:
    return ConnectionCache(database, CONNECTION_SECRETS, clock=clock.monotonic, now=clock.now)


async def rename(database: Database, tenant: UUID, connection: UUID, account: str) -> None:
    async with database.session(tenant) as session:
        await connections.update(
            session,
            tenant_id=tenant,
            connection_id=connection,
            values={"account_id": account},
        )


async def test_a_change_made_elsewhere_counts_after_seconds(
    database: Database, tenant: UUID, known: ConnectionCache, clock: FakeClock
) -> None:
    connection = await new_connection(database, tenant, account="before")
    seen = []
    for at in (0.0, LIFETIME - 0.1, LIFETIME):
        clock.seconds = at
        found = await known.find(connection)
        assert found is not None
        seen.append(found.account_id)
        await rename(database, tenant, connection, "after")
    assert seen == ["before", "before", "after"]


async def test_a_change_made_here_counts_at_once(
    database: Database, tenant: UUID, known: ConnectionCache
) -> None:
    account, other = uuid4().hex, uuid4().hex
    connection = await new_connection(database, tenant, account=account)
    await known.find(connection)
    assert len(await known.find_by_workspace(account)) == 1
    await rename(database, tenant, connection, other)
    known.forget(connection)
    found = await known.find(connection)
    assert found is not None
    assert found.account_id == other
    assert await known.find_by_workspace(account) == ()
    async with database.session(tenant) as session:
        await connections.remove(session, tenant_id=tenant, connection_id=connection)
    known.forget(connection)
    assert await known.find(connection) is None


async def test_a_second_connection_of_a_workspace_is_found_at_once(
    database: Database, tenant: UUID, other_tenant: UUID, known: ConnectionCache
) -> None:
    account = uuid4().hex
    first = await new_connection(database, tenant, account=account)
    assert [each.id for each in await known.find_by_workspace(account)] == [first]
    second = await new_connection(database, other_tenant, account=account)
    known.forget(second)
    assert [each.id for each in await known.find_by_workspace(account)] == [first, second]


async def test_that_there_is_no_connection_is_remembered_for_seconds(
    database: Database, tenant: UUID, known: ConnectionCache, clock: FakeClock
) -> None:
    account = uuid4().hex
    assert not known.remembers(account)
    assert await known.find_by_workspace(account) == ()
    await new_connection(database, tenant, account=account)
    assert known.remembers(account)
    assert await known.find_by_workspace(account) == ()
    clock.seconds = LIFETIME
    assert not known.remembers(account)
    assert len(await known.find_by_workspace(account)) == 1


async def test_a_connection_made_here_is_found_at_once(
    database: Database, tenant: UUID, known: ConnectionCache
) -> None:
    account = uuid4().hex
    assert await known.find_by_workspace(account) == ()
    await new_connection(database, tenant, account=account)
    known.forget_workspaces()
    assert len(await known.find_by_workspace(account)) == 1


async def test_unknown_ids_evict_no_known_connection(
    database: Database, tenant: UUID, clock: FakeClock
) -> None:
    known = ConnectionCache(
        database, CONNECTION_SECRETS, clock=clock.monotonic, now=clock.now, capacity=2
    )
    connection = await new_connection(database, tenant)
    assert await known.find(connection) is not None
    strangers = [uuid4() for _ in range(3)]
    for each in strangers:
        assert await known.find(each) is None
    assert [known.remembers(each) for each in strangers] == [False, True, True]
    assert known.remembers(connection)


async def test_old_secrets_lose_their_worth_to_the_moment(
    database: Database, tenant: UUID, known: ConnectionCache, clock: FakeClock
) -> None:
    connection = await new_connection(database, tenant)
    stored = CONNECTION_SECRETS.stored(CONNECTION_SECRETS.generate(), connection_id=connection)
    async with database.session(tenant) as session:
        await connections.rotate(
            session,
            tenant_id=tenant,
            connection_id=connection,
            header_hash=stored["header_hash"],
            signing_secret=stored["signing_secret"],
            previous_until=NOW + timedelta(seconds=2),
        )
    accepted = []
    for at in (0.0, 1.9, 2.0):
        clock.seconds = at
        found = await known.find(connection)
        assert found is not None
        assert found.secrets is not None
        accepted.append(len(found.secrets.header_hashes))
    assert accepted == [2, 2, 1]


async def test_what_was_read_before_a_change_is_not_remembered_after_it(
    database: Database, tenant: UUID, known: ConnectionCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await new_connection(database, tenant, account="before")
    session = database.connection_session

    @asynccontextmanager
    async def slow(connection_id: UUID) -> AsyncIterator[AsyncSession]:
        async with session(connection_id) as opened:
            yield opened
        await rename(database, tenant, connection, "after")
        known.forget(connection)

    with monkeypatch.context() as patch:
        patch.setattr(database, "connection_session", slow)
        found = await known.find(connection)
    assert found is not None
    assert found.account_id == "before"
    found = await known.find(connection)
    assert found is not None
    assert found.account_id == "after"


async def test_what_was_found_is_known_to_exist_until_it_is_not_found(
    database: Database, tenant: UUID, known: ConnectionCache, clock: FakeClock
) -> None:
    connection = await new_connection(database, tenant, account=uuid4().hex)
    assert await known.find(connection) is not None
    clock.seconds = LIFETIME
    assert known.remembers(connection)
    async with database.session(tenant) as session:
        assert await connections.remove(session, tenant_id=tenant, connection_id=connection)
    assert await known.find(connection) is None
    clock.seconds = 3 * LIFETIME
    assert not known.remembers(connection)
