"""What integration tests share: the database, tenants, a stream, a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from uuid import UUID, uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError

from app.dev.postgres import DatabaseUrls
from infra.db.engine import Database
from infra.media.pool import MediaPool
from tests.conftest import run_apart, server_directory
from tests.factories.rows import new_stream, new_tenant
from tests.fakes import rabbitmq


@pytest.fixture
async def database(postgres: DatabaseUrls) -> AsyncIterator[Database]:
    """The database as the application's role."""
    database = Database(postgres.application, pool_size=2, max_overflow=8)
    yield database
    await database.close()


@pytest.fixture
async def tenant(database: Database) -> UUID:
    """A tenant of this test."""
    return await new_tenant(database)


@pytest.fixture
async def other_tenant(database: Database) -> UUID:
    """A second tenant, whose data the first must never see."""
    return await new_tenant(database)


@pytest.fixture
async def stream(database: Database, tenant: UUID) -> UUID:
    """A stream of the tenant."""
    return await new_stream(database, tenant)


@pytest.fixture
def slug() -> str:
    """The slug of a tenant that does not exist yet."""
    return f"tenant-{uuid4().hex}"


@pytest.fixture(scope="session")
def media_pool() -> Iterator[MediaPool]:
    """One media child for all tests of this process: starting one takes longer than most tests."""
    pool = MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=30, timeout=30.0)
    yield pool
    run_apart(pool.close())


@pytest.fixture(scope="session")
def broker() -> Iterator[rabbitmq.Broker]:
    """A real RabbitMQ of this test process."""
    server = rabbitmq.program()
    if server is None:
        pytest.skip("rabbitmq-server is not installed")
    with server_directory() as root:
        broker = rabbitmq.Broker(server, root)
        try:
            broker.start()
            yield broker
        finally:
            broker.close()


@pytest.fixture
async def channel(broker: rabbitmq.Broker) -> AsyncIterator[AbstractChannel]:
    """A channel of the test's own, with confirms; what goes to no queue is an error."""
    connection = await aio_pika.connect(broker.url)
    yield await connection.channel(on_return_raises=True)
    with suppress(AMQPError, OSError):
        await connection.close()
