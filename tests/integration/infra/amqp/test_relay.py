"""The relay against a real RabbitMQ: every event arrives, in order, whatever goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import pytest
from aio_pika import DeliveryMode, ExchangeType
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import ChannelPreconditionFailed
from structlog.testing import capture_logs

from domain.clips.models import ClipStatus
from domain.webhooks.events import ClipPayload, Event, EventType, UsagePayload, event
from infra.amqp import EventRelay, stay_connected
from infra.amqp.relay import EXCHANGE
from infra.db.engine import Database
from infra.db.repositories import events
from infra.storage.signed_urls import ClipLinks, UrlSigner
from tests.factories.rows import new_tenant
from tests.fakes.rabbitmq import Broker, eventually

AT = datetime(2026, 11, 24, tzinfo=UTC)


def relay(database: Database) -> EventRelay:
    return EventRelay(
        database,
        links=ClipLinks(UrlSigner(b"s" * 32), base_url="https://api.test", lifetime=3600.0),
        poll_interval=0.02,
        publish_timeout=10.0,
    )


@asynccontextmanager
async def relaying(database: Database, broker: Broker, count: int = 1) -> AsyncIterator[None]:
    tasks = [
        asyncio.create_task(
            stay_connected(broker.url, relay(database).run, name="events", first_delay=0.05)
        )
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def usage(tenant: UUID, number: int, *, kind: str = "clips") -> Event:
    return event(
        EventType.USAGE_THRESHOLD,
        UsagePayload(kind=kind, period="2026-11", percent=number, used=1.0, budget=2.0),
        tenant_id=tenant,
        subject=f"usage/{kind}/2026-11",
        revision=number,
        created_at=AT,
    )


async def happen(database: Database, *what: Event) -> None:
    for each in what:
        async with database.session(each.tenant_id) as session:
            await events.append(session, each)


async def unpublished(database: Database, tenant: UUID) -> list[Event]:
    async with database.session(tenant) as session:
        return list(await events.unpublished(session, tenant_id=tenant, limit=1000))


async def listen(channel: AbstractChannel, binding: str, name: str | None = None) -> AbstractQueue:
    """Make a queue as the platform would: durable when it has a name."""
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue(name, durable=name is not None, exclusive=name is None)
    await queue.bind(exchange, binding)
    return queue


async def heard(queue: AbstractQueue, count: int) -> list[AbstractIncomingMessage]:
    """Wait for so many messages."""
    messages: list[AbstractIncomingMessage] = []
    async with queue.iterator() as waiting:
        async for message in waiting:
            await message.ack()
            messages.append(message)
            if len(messages) == count:
                break
    return messages


def contents(messages: Sequence[AbstractIncomingMessage]) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in messages]


def numbers(messages: Sequence[AbstractIncomingMessage]) -> list[int]:
    return [content["data"]["percent"] for content in contents(messages)]


async def test_an_event_is_published_as_documented(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    queue = await listen(channel, f"usage.threshold.{tenant}")
    said = usage(tenant, 80)
    await happen(database, said)
    async with relaying(database, broker):
        (message,) = await heard(queue, 1)
    assert message.routing_key == f"usage.threshold.{tenant}"
    assert message.message_id == str(said.id)
    assert message.delivery_mode is DeliveryMode.PERSISTENT
    assert (message.type, message.content_type) == ("usage.threshold", "application/json")
    assert message.headers == {"tenant-id": str(tenant), "ordering-key": said.ordering_key}
    assert json.loads(message.body) == {
        "version": "1",
        "id": str(said.id),
        "type": "usage.threshold",
        "timestamp": "2026-11-24T00:00:00Z",
        "data": said.data,
    }


async def test_a_clips_files_can_be_read_by_whoever_has_the_event(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    queue = await listen(channel, f"clip.*.{tenant}")
    await happen(database, clip_ready(tenant))
    async with relaying(database, broker):
        (content,) = contents(await heard(queue, 1))
    assert content["data"]["url"].startswith("https://api.test/v1/clips/1/download?")
    assert content["data"]["thumbnail_url"] is None


async def test_an_event_is_marked_once_it_is_confirmed_and_is_not_sent_again(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    queue = await listen(channel, f"#.{tenant}")
    await happen(database, usage(tenant, 1))
    async with relaying(database, broker):
        await heard(queue, 1)

        async def marked() -> bool:
            return await unpublished(database, tenant) == []

        await eventually(marked)
        await happen(database, usage(tenant, 2))
        assert numbers(await heard(queue, 1)) == [2]


async def test_an_event_to_which_nobody_listens_is_done_with_too(
    database: Database, tenant: UUID, broker: Broker
) -> None:
    await happen(database, usage(tenant, 1))

    async def marked() -> bool:
        return await unpublished(database, tenant) == []

    async with relaying(database, broker):
        await eventually(marked)


async def test_events_keep_their_order_whoever_publishes_them(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    queue = await listen(channel, f"#.{tenant}")
    async with relaying(database, broker, count=3):
        await happen(database, *(usage(tenant, number) for number in range(1, 151)))
        found = list(dict.fromkeys(numbers(await heard(queue, 150))))
    assert found == list(range(1, 151))


async def test_a_tenant_with_a_backlog_keeps_no_other_waiting(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    other = await new_tenant(database)
    queue = await listen(channel, f"#.{tenant}")
    await queue.bind(EXCHANGE, f"#.{other}")
    await happen(database, *(usage(tenant, number) for number in range(1, 251)), usage(other, 1))
    async with relaying(database, broker):
        messages = await heard(queue, 251)
    place = [message.headers["tenant-id"] for message in messages].index(str(other))
    assert place <= 100


async def test_an_event_that_a_full_queue_refuses_comes_later_and_keeps_no_other_tenant_waiting(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    other = await new_tenant(database)
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    full = await channel.declare_queue(
        exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
    )
    await full.bind(exchange, f"#.{tenant}")
    roomy = await listen(channel, f"#.{other}")
    await happen(database, *(usage(tenant, number) for number in range(1, 6)))
    async with relaying(database, broker):

        async def refused() -> bool:
            return len(await unpublished(database, tenant)) < 5

        await eventually(refused)
        await happen(database, usage(other, 1))
        assert numbers(await heard(roomy, 1)) == [1]
        assert 0 < len(await unpublished(database, tenant)) < 5
        found = numbers(await heard(full, 5))
    assert list(dict.fromkeys(found)) == [1, 2, 3, 4, 5]


async def test_nobody_elses_events_are_seen_while_looking_for_work(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    third = await new_tenant(database)
    await happen(database, usage(tenant, 1), usage(tenant, 2), usage(third, 1))
    found = await database.tenants_to_publish_for()
    assert {tenant, third} <= set(found)
    assert len(found) == len(set(found))
    assert other_tenant not in found
    assert await unpublished(database, other_tenant) == []


async def test_only_one_has_a_tenants_turn(database: Database, tenant: UUID) -> None:
    async with database.session(tenant) as one, database.session(tenant) as other:
        assert await events.try_lock_publishing(one, tenant_id=tenant)
        assert not await events.try_lock_publishing(other, tenant_id=tenant)
    async with database.session(tenant) as next_one:
        assert await events.try_lock_publishing(next_one, tenant_id=tenant)


async def test_publishing_locks_no_row_that_others_work_with(
    database: Database, tenant: UUID
) -> None:
    await happen(database, usage(tenant, 1))
    async with database.session(tenant) as publishing, database.session(tenant) as delivering:
        await events.try_lock_publishing(publishing, tenant_id=tenant)
        await events.unpublished(publishing, tenant_id=tenant, limit=10)
        assert len(await events.undispatched(delivering, tenant_id=tenant)) == 1


async def test_an_exchange_that_is_deleted_keeps_no_event_waiting(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    queue = await listen(channel, f"#.{tenant}")
    async with relaying(database, broker):
        await happen(database, usage(tenant, 1))
        await heard(queue, 1)
        await channel.exchange_delete(EXCHANGE)
        await happen(database, usage(tenant, 2))

        async def marked() -> bool:
            return await unpublished(database, tenant) == []

        async with asyncio.timeout(30):
            await eventually(marked)
            queue = await listen(channel, f"#.{tenant}")
            await happen(database, usage(tenant, 3))
            assert numbers(await heard(queue, 1)) == [3]


async def test_an_exchange_replaced_by_another_type_is_reported_and_used_once_repaired(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    queue = await listen(channel, f"#.{tenant}")
    with capture_logs() as logs:
        async with relaying(database, broker), asyncio.timeout(60):
            await happen(database, usage(tenant, 1))
            await heard(queue, 1)
            await channel.exchange_delete(EXCHANGE)
            while not await declared(broker, ExchangeType.FANOUT):  # the relay may be first
                await channel.exchange_delete(EXCHANGE)

            async def reported_twice() -> bool:
                found = ["inequivalent arg" in str(entry.get("error")) for entry in logs]
                return sum(found) > 1

            await eventually(reported_twice)
            await channel.exchange_delete(EXCHANGE)
            queue = await listen(channel, f"#.{tenant}")
            await happen(database, usage(tenant, 2))
            assert numbers(await heard(queue, 1)) == [2]


async def declared(broker: Broker, kind: ExchangeType) -> bool:
    """Declare the exchange with a type; return False if it exists with another one."""
    async with await aio_pika.connect(broker.url) as connection:
        channel = await connection.channel()
        try:
            await channel.declare_exchange(EXCHANGE, kind, durable=True)
        except ChannelPreconditionFailed:
            return False
    return True


@pytest.mark.serial
@pytest.mark.slow
async def test_a_broker_that_is_away_loses_nothing(
    database: Database, tenant: UUID, broker: Broker
) -> None:
    name = f"platform-{uuid4()}"
    async with await aio_pika.connect(broker.url) as connection:
        await listen(await connection.channel(), f"#.{tenant}", name)
    async with relaying(database, broker):
        await happen(database, *(usage(tenant, number) for number in range(1, 11)))
        await asyncio.to_thread(broker.stop)
        await happen(database, *(usage(tenant, number) for number in range(11, 21)))
        broker.start()  # on this thread, which its life is bound to
        await happen(database, *(usage(tenant, number) for number in range(21, 31)))

        async def marked() -> bool:
            return await unpublished(database, tenant) == []

        await eventually(marked)
    async with await aio_pika.connect(broker.url) as connection:
        queue = await (await connection.channel()).get_queue(name)
        messages = await heard(queue, queue.declaration_result.message_count or 0)
    # At least once: one whose confirmation was lost may have come twice, with the same id.
    first_times = list({message.message_id: message for message in messages[::-1]}.values())[::-1]
    assert numbers(first_times) == list(range(1, 31))


async def test_a_broker_that_hangs_keeps_nobody_from_ending(
    database: Database, tenant: UUID, broker: Broker, channel: AbstractChannel
) -> None:
    queue = await listen(channel, f"#.{tenant}")
    async with AsyncExitStack() as relays:
        await relays.enter_async_context(relaying(database, broker))
        await happen(database, usage(tenant, 1))
        await heard(queue, 1)
        with broker.hanging():
            await happen(database, usage(tenant, 2))
            async with asyncio.timeout(60):
                await relays.aclose()


async def test_a_broker_that_was_never_there_hurts_nobody(database: Database, tenant: UUID) -> None:
    await happen(database, usage(tenant, 1))
    tries: list[AbstractChannel] = []

    async def work(channel: AbstractChannel) -> None:
        tries.append(channel)

    task = asyncio.create_task(
        stay_connected("amqp://127.0.0.1:1/", work, name="events", first_delay=0.01)
    )
    await asyncio.wait({task}, timeout=0.1)
    assert not task.done()
    assert tries == []
    task.cancel()
    assert len(await unpublished(database, tenant)) == 1


async def test_a_mistake_of_ours_is_tried_again_too(broker: Broker) -> None:
    tries: list[AbstractChannel] = []
    enough = asyncio.Event()

    async def work(channel: AbstractChannel) -> None:
        tries.append(channel)
        if len(tries) == 3:
            enough.set()
        raise ZeroDivisionError

    task = asyncio.create_task(stay_connected(broker.url, work, name="events", first_delay=0.01))
    await enough.wait()
    task.cancel()
    assert len(tries) == 3


def clip_ready(tenant: UUID) -> Event:
    return event(
        EventType.CLIP_READY,
        ClipPayload(
            clip_id=uuid4(),
            highlight_id=uuid4(),
            stream_id=uuid4(),
            status=ClipStatus.READY,
            title="",
            score=0.9,
            tags=(),
            peak=60.0,
            start=55.0,
            duration=10.0,
            size=1,
            width=1280,
            height=720,
            has_audio=True,
            sha256="ab",
            url="/v1/clips/1/download",
            thumbnail_url=None,
            message="",
            ready_at=AT,
        ),
        tenant_id=tenant,
        subject="clip/1",
        revision=1,
        created_at=AT,
    )
