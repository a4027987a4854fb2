"""Events that come together are written together, and each is answered for by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.services.hms_events import MAX_BATCH_EVENTS, EventWriter
from domain.hms.effects import Ignore
from infra.db.engine import Database, DatabaseUnavailableError, UnstorableValueError
from infra.db.errors import RecordMissingError
from infra.db.repositories import inbound_events
from infra.db.repositories.inbound_events import NewEvent
from tests.factories.rows import new_connection


class Transactions:
    """Counts those that a writer makes, and whose they are."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tenants: list[UUID] = []
        self.most_at_once = 0
        self._at_once = 0
        session = database.session

        @asynccontextmanager
        async def counted(tenant_id: UUID) -> AsyncIterator[AsyncSession]:
            self.tenants.append(tenant_id)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                async with session(tenant_id) as opened:
                    yield opened
            finally:
                self._at_once -= 1

        monkeypatch.setattr(database, "session", counted)


@pytest.fixture
async def connection(database: Database, tenant: UUID) -> UUID:
    return await new_connection(database, tenant)


def event(tenant: UUID, connection: UUID, name: str, *, body: bytes | None = None) -> NewEvent:
    return NewEvent(
        tenant_id=tenant,
        connection_id=connection,
        event_id=name,
        type="room.end.failure",
        effect=Ignore(note="a test"),
        body=body,
    )


async def written(database: Database, tenant: UUID, connection: UUID) -> list[str]:
    """The ids of what is durable, in the order of its positions."""
    async with database.session(tenant) as session:
        rows = await inbound_events.list_newest(
            session, tenant_id=tenant, connection_id=connection, limit=1000
        )
    return [row.event_id for row in reversed(rows)]


async def somebody_waits(session: AsyncSession) -> None:
    """Wait until a transaction of this server waits for another's lock."""
    while True:
        if await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            return
        await asyncio.sleep(0.01)


async def test_events_that_come_together_are_written_in_order_by_few_transactions(
    database: Database, tenant: UUID, connection: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = EventWriter(database)
    names = [f"event-{number:03}" for number in range(100)]
    with monkeypatch.context() as patch:
        transactions = Transactions(database, patch)
        answers = await asyncio.gather(
            *(writer.write(event(tenant, connection, name)) for name in names)
        )
    assert answers == [True] * 100
    assert len(transactions.tenants) == 1
    assert await written(database, tenant, connection) == names


async def test_an_event_is_durable_when_it_is_answered_for(
    database: Database, tenant: UUID, connection: UUID
) -> None:
    writer = EventWriter(database)

    async def one(name: str) -> None:
        await writer.write(event(tenant, connection, name))
        async with database.session(tenant) as session:
            found = await inbound_events.get(
                session, tenant_id=tenant, connection_id=connection, event_id=name
            )
        assert found is not None

    await asyncio.gather(*(one(f"event-{number}") for number in range(10)))


async def test_what_comes_twice_is_new_once(
    database: Database, tenant: UUID, connection: UUID
) -> None:
    writer = EventWriter(database)
    together = await asyncio.gather(
        *(writer.write(event(tenant, connection, "the same")) for _ in range(50))
    )
    later = await writer.write(event(tenant, connection, "the same"))
    assert [*together, later] == [True] + [False] * 50
    assert await written(database, tenant, connection) == ["the same"]


async def test_an_event_that_the_database_does_not_take_fails_alone(
    database: Database, tenant: UUID, connection: UUID
) -> None:
    writer = EventWriter(database)
    names = [f"event-{number}" for number in range(9)]
    bad = "with a NUL \0"  # which no text of PostgreSQL's can hold
    answers = await asyncio.gather(
        *(writer.write(event(tenant, connection, name)) for name in [*names[:5], bad, *names[5:]]),
        return_exceptions=True,
    )
    assert isinstance(answers.pop(5), UnstorableValueError)
    assert answers == [True] * 9
    assert await written(database, tenant, connection) == names


async def test_an_event_of_a_connection_that_is_gone_fails_alone(
    database: Database, tenant: UUID, other_tenant: UUID, connection: UUID
) -> None:
    writer = EventWriter(database)
    theirs = await new_connection(database, other_tenant)
    gone, stolen, good = await asyncio.gather(
        writer.write(event(tenant, uuid4(), "gone")),
        writer.write(event(tenant, theirs, "of another tenant's connection")),
        writer.write(event(tenant, connection, "good")),
        return_exceptions=True,
    )
    assert isinstance(gone, RecordMissingError)
    assert isinstance(stolen, RecordMissingError)
    assert good is True
    assert await written(database, other_tenant, theirs) == []


async def test_events_that_another_process_writes_in_opposite_order_are_recorded_all_the_same(
    database: Database, tenant: UUID, connection: UUID
) -> None:
    writer = EventWriter(database)
    first, second = (event(tenant, connection, name) for name in ("first", "second"))
    with suppress(DBAPIError):  # of the two that wait for each other, either may have to give way
        async with database.session(tenant) as other:
            await inbound_events.record(other, [second])
            ours = asyncio.gather(writer.write(first), writer.write(second))
            await somebody_waits(other)
            await inbound_events.record(other, [first])
    await ours
    assert set(await written(database, tenant, connection)) == {"first", "second"}


async def test_each_tenant_has_its_own_transactions(
    database: Database,
    tenant: UUID,
    other_tenant: UUID,
    connection: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = EventWriter(database, concurrency=1)
    theirs = await new_connection(database, other_tenant)
    with monkeypatch.context() as patch:
        transactions = Transactions(database, patch)
        await asyncio.gather(
            *(writer.write(event(tenant, connection, str(number))) for number in range(5)),
            *(writer.write(event(other_tenant, theirs, str(number))) for number in range(5)),
        )
    assert sorted(transactions.tenants) == sorted([tenant, other_tenant])
    assert transactions.most_at_once == 1
    numbers = [str(number) for number in range(5)]
    assert await written(database, tenant, connection) == numbers
    assert await written(database, other_tenant, theirs) == numbers


async def test_no_transaction_has_more_events_than_it_may(
    database: Database, tenant: UUID, connection: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = EventWriter(database)
    with monkeypatch.context() as patch:
        transactions = Transactions(database, patch)
        await asyncio.gather(
            *(
                writer.write(event(tenant, connection, str(number)))
                for number in range(MAX_BATCH_EVENTS + 1)
            )
        )
    assert len(transactions.tenants) == 2


async def test_an_event_whose_sender_has_gone_is_written_all_the_same(
    database: Database, tenant: UUID, connection: UUID
) -> None:
    writer = EventWriter(database)
    impatient = asyncio.create_task(writer.write(event(tenant, connection, "first")))
    patient = asyncio.create_task(writer.write(event(tenant, connection, "second")))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient is True
    assert await written(database, tenant, connection) == ["first", "second"]


async def test_what_waits_is_bounded_and_the_rest_is_refused(
    database: Database, tenant: UUID, connection: UUID
) -> None:
    writer = EventWriter(database, max_queued_bytes=100_000)
    body = b" " * 30_000
    answers = await asyncio.gather(
        *(writer.write(event(tenant, connection, str(each), body=body)) for each in range(5)),
        return_exceptions=True,
    )
    assert answers[:3] == [True] * 3
    assert all(isinstance(each, DatabaseUnavailableError) for each in answers[3:])
    assert await writer.write(event(tenant, connection, "later", body=body)) is True


async def test_without_a_database_each_event_is_said_not_to_be_safe() -> None:
    away = Database("postgresql://nobody@/none?host=/nonexistent", pool_size=1)
    writer = EventWriter(away)
    answers = await asyncio.gather(
        *(writer.write(event(uuid4(), uuid4(), str(number))) for number in range(3)),
        return_exceptions=True,
    )
    assert all(isinstance(each, DatabaseUnavailableError) for each in answers)
