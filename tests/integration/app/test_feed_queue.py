"""`highlights feed` reads a queue of a broker, and loses no message of it."""

from __future__ import annotations

import asyncio
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel
from rich.console import Console

from app.feed import FeedSource, send_feed
from app.recordings import ApiAccess
from domain.feed.adapters.match import FeedFormat
from infra.errors import SetupError
from tests.fakes.feed_api import KEY, FakeFeedApi
from tests.fakes.rabbitmq import Broker, eventually

FEED = Path(__file__).parents[2] / "unit/domain/feed/adapters/data/sportradar.xml"
QUEUE = "odds.of.a.match"
DEAD = "odds.of.a.match.dead"


async def test_messages_are_sent_and_acknowledged_and_wrong_ones_set_aside(
    broker: Broker, channel: AbstractChannel
) -> None:
    dead = await channel.declare_queue(DEAD, durable=True)
    queue = await channel.declare_queue(
        QUEUE,
        durable=True,
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": DEAD},
    )
    for body in (*FEED.read_bytes().splitlines(), b"<!DOCTYPE a><a/>"):
        message = Message(body, delivery_mode=DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, QUEUE)
    with FakeFeedApi() as api:
        source = FeedSource(
            stream_id=UUID(int=7), source=broker.url, format=FeedFormat.SPORTRADAR, queue=QUEUE
        )
        access = ApiAccess(url=api.url, key=KEY)
        run = asyncio.create_task(send_feed(source, access, console=Console(file=StringIO())))

        async def set_aside() -> bool:
            found = await channel.declare_queue(DEAD, durable=True, passive=True)
            return bool(found.declaration_result.message_count)

        async with asyncio.timeout(60):
            await eventually(set_aside)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        assert "uof:sr:match:58001:score:1-0:1777748407400" in {each.id for each in api.events}
    refused = await dead.get(timeout=30)
    await refused.ack()
    assert refused.body == b"<!DOCTYPE a><a/>"
    assert await queue.get(fail=False) is None


async def test_a_queue_that_does_not_exist_is_named(
    broker: Broker, channel: AbstractChannel
) -> None:
    source = FeedSource(
        stream_id=UUID(int=7), source=broker.url, format=FeedFormat.EVENTS, queue="no.such.queue"
    )
    with pytest.raises(SetupError, match=r"The queue 'no\.such\.queue' cannot be read"):
        await send_feed(
            source, ApiAccess(url="http://localhost:1", key=KEY), console=Console(file=StringIO())
        )
