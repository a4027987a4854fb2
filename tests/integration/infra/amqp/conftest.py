from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError

from tests.conftest import server_directory
from tests.integration.infra.amqp.broker import Broker, program


@pytest.fixture(scope="session")
def broker_node() -> Iterator[Broker]:
    server = program()
    if server is None:
        pytest.skip("rabbitmq-server is not installed")
    with server_directory() as root:
        broker = Broker(server, root)
        try:
            broker.start()
            yield broker
        finally:
            broker.close()


@pytest.fixture
async def broker(broker_node: Broker) -> Broker:
    """A RabbitMQ that runs."""
    return broker_node


@pytest.fixture
async def channel(broker: Broker) -> AsyncIterator[AbstractChannel]:
    """A channel of the test's own, with confirms."""
    connection = await aio_pika.connect(broker.url)
    yield await connection.channel()
    with suppress(AMQPError, OSError, asyncio.CancelledError):
        await connection.close()
