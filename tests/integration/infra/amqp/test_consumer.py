"""Jobs from a real RabbitMQ: none is lost, and none that cannot be done comes for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import aio_pika
import pytest
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, PublishError
from structlog.testing import capture_logs

from infra.amqp import JobConsumer, JobDelayedError, JobRefusedError, consumer, stay_connected
from tests.fakes.rabbitmq import Broker, eventually

KIND = "test.requested"


class Scripted:
    """Does as the list says, one step for each call, then succeeds."""

    kind = KIND

    def __init__(self, *steps: Exception | asyncio.Event | None) -> None:
        self.steps = list(steps)
        self.bodies: list[bytes] = []
        self.at_once = self.most_at_once = 0
        self._called = asyncio.Condition()

    async def handle(self, body: bytes) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._step(body)
        finally:
            self.at_once -= 1

    async def _step(self, body: bytes) -> None:
        step = self.steps.pop(0) if self.steps else None
        async with self._called:
            self.bodies.append(body)
            self._called.notify_all()
        if isinstance(step, asyncio.Event):
            await step.wait()
        elif step is not None:
            raise step

    async def called(self, times: int) -> None:
        async with self._called:
            await self._called.wait_for(lambda: len(self.bodies) >= times)


@pytest.fixture(autouse=True)
async def _no_jobs_of_others(broker: Broker) -> None:
    async with await aio_pika.connect(broker.url) as connection:
        channel = await connection.channel()
        for name in (consumer.QUEUE, consumer.DEAD):
            await channel.queue_delete(name)


@asynccontextmanager
async def consuming(broker: Broker, handler: Scripted, *, prefetch: int = 4) -> AsyncIterator[None]:
    ready = asyncio.Event()
    jobs = JobConsumer(handler, prefetch=prefetch, first_delay=0.01, declare_interval=0.2)

    async def work(channel: AbstractChannel) -> None:
        running = asyncio.create_task(jobs.run(channel))
        ready.set()
        await running

    task = asyncio.create_task(stay_connected(broker.url, work, name="jobs", first_delay=0.05))
    await ready.wait()
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def ask(channel: AbstractChannel, *bodies: bytes) -> None:
    """Queue jobs as the platform does; the queue exists from the first consumer on."""
    exchange = await channel.declare_exchange(
        consumer.EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
    )
    for number, body in enumerate(bodies):
        message = Message(
            body, delivery_mode=DeliveryMode.PERSISTENT, message_id=f"m{number}", type=KIND
        )
        await eventually(partial(_routed, exchange, message))


async def _routed(exchange: AbstractExchange, message: Message) -> bool:
    """Publish; answer whether the consumer that we just started has declared its queue by now."""
    try:
        await exchange.publish(message, KIND)
    except PublishError:
        return False
    return True


async def waiting(channel: AbstractChannel, name: str) -> int:
    queue = await channel.declare_queue(name, passive=True)
    return queue.declaration_result.message_count or 0


async def dead(broker: Broker) -> AbstractIncomingMessage:
    """Wait for a job to be set aside.

    RabbitMQ may close a connection with INTERNAL_ERROR that uses a quorum queue while it is deleted
    and declared again, so this takes a connection of its own, and another one then.
    """
    while True:
        try:
            async with await aio_pika.connect(broker.url) as connection:
                channel = await connection.channel()
                queue = await channel.declare_queue(
                    consumer.DEAD, durable=True, arguments={"x-queue-type": "quorum"}
                )
                async with queue.iterator() as messages:
                    async for message in messages:
                        await message.ack()
                        return message
        except (AMQPError, ChannelInvalidStateError):
            await asyncio.sleep(0.1)


async def test_a_job_is_done_and_is_gone(broker: Broker, channel: AbstractChannel) -> None:
    handler = Scripted()
    async with consuming(broker, handler):
        await ask(channel, b"one", b"two")
        await handler.called(2)
    assert sorted(handler.bodies) == [b"one", b"two"]
    assert await waiting(channel, consumer.DEAD) == 0


async def test_a_job_is_acknowledged_only_when_it_is_done(
    broker: Broker, channel: AbstractChannel
) -> None:
    never = asyncio.Event()
    dying, other = Scripted(never), Scripted()
    async with consuming(broker, dying):
        await ask(channel, b"job")
        await dying.called(1)
    async with consuming(broker, other):
        await other.called(1)
    assert other.bodies == [b"job"]


async def test_a_refused_job_is_set_aside_as_it_came_with_the_reason(
    broker: Broker, channel: AbstractChannel
) -> None:
    async with consuming(broker, Scripted(JobRefusedError("invalid_job", "url: is missing"))):
        await ask(channel, b"poison")
        message = await dead(broker)
    assert (message.body, message.message_id, message.type) == (b"poison", "m0", KIND)
    assert message.delivery_mode is DeliveryMode.PERSISTENT
    assert message.routing_key == KIND
    assert message.headers["x-reason-code"] == "invalid_job"
    assert message.headers["x-reason"] == "url: is missing"
    assert message.headers["x-deliveries"] == 1


async def test_a_refused_job_does_not_come_back(broker: Broker, channel: AbstractChannel) -> None:
    handler = Scripted(JobRefusedError("invalid_job", "no"))
    async with consuming(broker, handler):
        await ask(channel, b"poison")
        await dead(broker)
        await ask(channel, b"good")
        await handler.called(2)
    assert handler.bodies == [b"poison", b"good"]


async def test_a_job_that_fails_for_no_known_reason_is_tried_again(
    broker: Broker, channel: AbstractChannel
) -> None:
    handler = Scripted(ZeroDivisionError(), ZeroDivisionError())
    async with consuming(broker, handler):
        await ask(channel, b"job")
        await handler.called(3)
    assert handler.bodies == [b"job"] * 3
    assert await waiting(channel, consumer.DEAD) == 0


async def test_but_not_without_limit(broker: Broker, channel: AbstractChannel) -> None:
    handler = Scripted(*[ZeroDivisionError()] * 99)
    async with consuming(broker, handler):
        await ask(channel, b"job")
        message = await dead(broker)
    assert len(handler.bodies) == consumer.ATTEMPTS
    assert message.headers["x-reason-code"] == "gave_up"
    assert "ZeroDivisionError" in str(message.headers["x-reason"])


async def test_an_outage_of_ours_uses_up_no_attempts(
    broker: Broker, channel: AbstractChannel
) -> None:
    handler = Scripted(*[JobDelayedError("the database is away")] * (consumer.ATTEMPTS + 1))
    async with consuming(broker, handler):
        await ask(channel, b"job")
        await handler.called(consumer.ATTEMPTS + 2)
    assert await waiting(channel, consumer.DEAD) == 0


async def test_a_job_that_kills_whoever_takes_it_is_set_aside_by_the_broker(
    broker: Broker, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "DELIVERY_LIMIT", 2)
    never = asyncio.Event()
    for number in range(3):
        handler = Scripted(never)
        async with consuming(broker, handler):
            if number == 0:
                await ask(channel, b"deadly")
            await handler.called(1)
    message = await dead(broker)
    assert message.body == b"deadly"
    assert message.headers["x-first-death-reason"] == "delivery_limit"


async def test_no_more_jobs_are_taken_than_can_be_worked_on(
    broker: Broker, channel: AbstractChannel
) -> None:
    go = asyncio.Event()
    handler = Scripted(*[go] * 10)
    async with consuming(broker, handler, prefetch=3):
        await ask(channel, *[b"job"] * 10)
        await handler.called(3)
        go.set()
        await handler.called(10)
    assert handler.most_at_once == 3


async def test_a_queue_that_is_deleted_is_declared_and_consumed_again(
    broker: Broker, channel: AbstractChannel
) -> None:
    handler = Scripted()
    async with consuming(broker, handler):
        await ask(channel, b"before")
        await handler.called(1)
        await channel.queue_delete(consumer.QUEUE)
        bodies = [b"job %d" % number for number in range(8)]
        await ask(channel, *bodies)
        async with asyncio.timeout(20):
            await handler.called(9)
    assert sorted(handler.bodies[1:]) == bodies


async def test_a_job_in_hand_is_done_though_its_queue_is_deleted(
    broker: Broker, channel: AbstractChannel
) -> None:
    go = asyncio.Event()
    handler = Scripted(go)
    async with consuming(broker, handler):
        await ask(channel, b"in hand")
        await handler.called(1)
        await channel.queue_delete(consumer.QUEUE)
        await ask(channel, b"later")
        await handler.called(2)
        go.set()
        await ask(channel, b"last")
        await handler.called(3)
    assert handler.bodies == [b"in hand", b"later", b"last"]


@pytest.mark.parametrize("gone", ["exchange", "binding", "dead-exchange", "dead-queue", "all"])
async def test_whatever_is_deleted_is_declared_again(
    broker: Broker, channel: AbstractChannel, gone: str
) -> None:
    handler = Scripted(None, JobRefusedError("invalid_job", "no"))
    async with consuming(broker, handler):
        await ask(channel, b"before")
        await handler.called(1)
        if gone in ("dead-exchange", "all"):
            await channel.exchange_delete(consumer.DEAD)
        if gone in ("dead-queue", "all"):
            await channel.queue_delete(consumer.DEAD)
        if gone == "binding":
            await (await channel.get_queue(consumer.QUEUE)).unbind(consumer.EXCHANGE, KIND)
        if gone == "all":
            await channel.queue_delete(consumer.QUEUE)
        if gone in ("exchange", "all"):
            await channel.exchange_delete(consumer.EXCHANGE)
        await ask(channel, b"poison", b"good")
        async with asyncio.timeout(20):
            await handler.called(3)
            message = await dead(broker)
    assert message.body == handler.bodies[1]
    assert sorted(handler.bodies[1:]) == [b"good", b"poison"]


async def test_a_channel_that_the_broker_closes_is_opened_again(
    broker: Broker, channel: AbstractChannel
) -> None:
    handler = Scripted()
    channels: list[AbstractChannel] = []
    jobs = JobConsumer(handler, prefetch=4, first_delay=0.01)

    async def work(opened: AbstractChannel) -> None:
        channels.append(opened)
        await jobs.run(opened)

    task = asyncio.create_task(stay_connected(broker.url, work, name="jobs", first_delay=0.05))
    await ask(channel, b"before")
    await handler.called(1)
    underlay = await channels[0].get_underlay_channel()
    await underlay.basic_ack(4711)  # of no delivery: PRECONDITION_FAILED
    await ask(channel, b"after")
    async with asyncio.timeout(20):
        await handler.called(2)
    task.cancel()
    assert handler.bodies == [b"before", b"after"]
    assert len(channels) == 2


async def test_a_queue_declared_otherwise_is_reported_with_the_reason(
    broker: Broker, channel: AbstractChannel
) -> None:
    await channel.declare_queue(consumer.QUEUE, durable=True)
    handler = Scripted()
    with capture_logs() as logs:
        async with consuming(broker, handler):

            async def reported() -> bool:
                return any(entry["event"] == "broker_lost" for entry in logs)

            await eventually(reported)
            await channel.queue_delete(consumer.QUEUE)
            await ask(channel, b"job")
            await handler.called(1)
    (first, *_) = [entry["error"] for entry in logs if entry["event"] == "broker_lost"]
    assert "inequivalent arg" in first


@pytest.mark.serial
@pytest.mark.slow
async def test_a_job_in_hand_comes_back_after_a_restart_of_the_broker(
    broker: Broker, channel: AbstractChannel
) -> None:
    never = asyncio.Event()
    handler = Scripted(never)
    async with consuming(broker, handler):
        await ask(channel, b"job")
        await handler.called(1)
        await asyncio.to_thread(broker.stop)
        broker.start()  # on this thread, which its life is bound to
        await handler.called(2)
    assert handler.bodies == [b"job"] * 2
