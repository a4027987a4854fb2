"""Consumer of jobs from RabbitMQ, and the connection that is renewed when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal, NoReturn, Protocol

import aio_pika
import structlog
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import (
    AbstractChannel,
    AbstractExchange,
    AbstractIncomingMessage,
    AbstractQueue,
)
from aio_pika.exceptions import AMQPChannelError, AMQPError, ChannelInvalidStateError

from infra.db.engine import DatabaseUnavailableError
from infra.redaction import redact
from infra.telemetry.metrics import DEPENDENCY_UP

Work = Callable[[AbstractChannel], Awaitable[object]]


_CONNECT_TIMEOUT: Final = 10.0


_CLOSE_TIMEOUT: Final = 2.0


_FIRST_DELAY: Final = 0.5


_LONGEST_DELAY: Final = 5.0


_STABLE_AFTER: Final = 60.0


_OUTAGES: Final = (
    *(AMQPError, ChannelInvalidStateError, OSError, TimeoutError),
    DatabaseUnavailableError,
)


_log = structlog.get_logger(__name__)


async def stay_connected(
    url: str, work: Work, *, name: str, first_delay: float = _FIRST_DELAY
) -> NoReturn:
    """Run `work` on a channel with publisher confirms until cancelled, reconnecting after failures.

    Any failure, of the broker or of our code, is logged and followed by a new connection after a
    delay that doubles up to five seconds. A `mandatory` message without a queue raises
    `PublishError`. `aio_pika.connect_robust` does not reopen a channel whose exchange was replaced
    (docs/decisions/0026-own-code.md).

    Args:
        url: of the broker.
        work: returns by raising only.
        name: of the connection, in the log and in the broker's management.
        first_delay: seconds before the first reconnection.
    """
    delay = first_delay
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            await _once(url, work, name)
        except _OUTAGES as error:
            _log.warning("broker_lost", connection=name, error=_words(error), again_in=delay)
        except Exception:  # noqa: BLE001 - must not end the worker
            _log.exception("broker_work_failed", connection=name, again_in=delay)
        DEPENDENCY_UP.labels("rabbitmq").set(0)
        if clock() - began > _STABLE_AFTER:
            delay = first_delay
        await asyncio.sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY)


async def _once(url: str, work: Work, name: str) -> None:
    connection = await aio_pika.connect(
        url, timeout=_CONNECT_TIMEOUT, client_properties={"connection_name": f"highlights {name}"}
    )
    try:
        channel = await connection.channel(on_return_raises=True)
        _log.info("broker_connected", connection=name)
        DEPENDENCY_UP.labels("rabbitmq").set(1)
        await work(channel)
    finally:
        # A broker that hangs does not answer this either, and the worker's shutdown must not wait.
        with suppress(*_OUTAGES):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await connection.close()


def _words(error: BaseException) -> str:
    """Describe an outage without the URL; a refusal with the broker's reason."""
    if isinstance(error, AMQPChannelError):
        return redact(f"{type(error).__name__}: {error}")
    return type(error).__name__


EXCHANGE: Final = "highlights.jobs"


QUEUE: Final = "highlights.jobs"


DEAD: Final = "highlights.jobs.dead"
"""Exchange and queue of what was set aside."""


ATTEMPTS: Final = 5
"""Tries of a job that fails for no known reason."""


DELIVERY_LIMIT: Final = 20
"""Deliveries of a job that come to no end at all, as when the worker dies of it."""


_MAX_RETRY_DELAY: Final = 30.0


_REASON_LENGTH: Final = 1000


class JobRefusedError(Exception):
    """A job that will never work; `code` says why to programs, the message to people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobDelayedError(Exception):
    """A job that cannot be done now, since something that it needs is away."""


class JobHandler(Protocol):
    """Does jobs of one kind; a job may come twice."""

    @property
    def kind(self) -> str:
        """The routing key of its jobs."""

    async def handle(self, body: bytes) -> None:
        """Do a job; on return its effects are committed.

        Raises:
            JobRefusedError: it will never work.
            JobDelayedError: it may work later.
        """


class JobConsumer:
    """Takes jobs from the queue.

    Args:
        handler: does them.
        prefetch: jobs taken at a time.
        first_delay: seconds before a job that failed is tried again; doubles each time.
        declare_interval: seconds between repairs of exchanges, queues and bindings.
    """

    def __init__(
        self,
        handler: JobHandler,
        *,
        prefetch: int,
        first_delay: float = 1.0,
        declare_interval: float = 5.0,
    ) -> None:
        self._handler = handler
        self._declare_interval = declare_interval
        self._prefetch = prefetch
        self._first_delay = first_delay

    async def run(self, channel: AbstractChannel) -> NoReturn:
        """Work on a channel until it breaks; jobs in hand then go back to the queue.

        When the broker cancels the consumer, jobs in hand go on: they may be gone from the broker.

        Raises:
            AMQPError: the broker refused something.
            ConnectionError: it broke.
        """
        await channel.set_qos(prefetch_count=self._prefetch)
        cancelled = asyncio.Event()
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(lambda _frame: cancelled.set())
        hands: set[asyncio.Task[None]] = set()

        async def take(message: AbstractIncomingMessage) -> None:
            task = asyncio.create_task(self._work(message, channel))
            hands.add(task)
            task.add_done_callback(hands.discard)

        closing = asyncio.ensure_future(channel.closed())
        try:
            while not closing.done():
                cancelled.clear()
                queue = await self._declare(channel)
                await queue.consume(take)
                _log.info("jobs_consumed", queue=QUEUE)
                await self._watch(channel, closing, cancelled)
        finally:
            closing.cancel()
            for task in hands:
                task.cancel()
            await asyncio.gather(*hands, return_exceptions=True)
        raise ConnectionError("the channel was closed")

    async def _watch(
        self,
        channel: AbstractChannel,
        closing: asyncio.Future[Literal[True]],
        cancelled: asyncio.Event,
    ) -> None:
        """Return when the channel is closed or the consumer cancelled; repair what is missing."""
        cancelling = asyncio.ensure_future(cancelled.wait())
        try:
            while not (closing.done() or cancelled.is_set()):
                done, _ = await asyncio.wait(
                    (closing, cancelling),
                    timeout=self._declare_interval,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not done:
                    await self._declare(channel)
        finally:
            cancelling.cancel()
        if cancelled.is_set():
            _log.warning("consumer_cancelled_by_broker", queue=QUEUE)

    async def _declare(self, channel: AbstractChannel) -> AbstractQueue:
        """Declare everything that jobs pass through; what is there already stays as it is."""
        exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
        await self._declare_dead(channel)
        queue = await channel.declare_queue(
            QUEUE,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": DEAD,
            },
        )
        await queue.bind(exchange, self._handler.kind)
        return queue

    @staticmethod
    async def _declare_dead(channel: AbstractChannel) -> AbstractExchange:
        exchange = await channel.declare_exchange(DEAD, ExchangeType.FANOUT, durable=True)
        queue = await channel.declare_queue(
            DEAD, durable=True, arguments={"x-queue-type": "quorum"}
        )
        await queue.bind(exchange)
        return exchange

    async def _work(self, message: AbstractIncomingMessage, channel: AbstractChannel) -> None:
        try:
            await self._settle(message, channel)
        except (AMQPError, ChannelInvalidStateError) as error:
            # A job that can be neither taken as done nor given back goes back with its channel.
            _log.warning("job_returned", message_id=message.message_id, error=type(error).__name__)
            await channel.close()

    async def _settle(self, message: AbstractIncomingMessage, channel: AbstractChannel) -> None:
        try:
            await self._patiently(message.body)
        except JobRefusedError as error:
            await self._set_aside(message, channel, code=error.code, reason=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must not be lost
            _log.exception("job_failed", message_id=message.message_id)
            await self._again(message, channel, error)
        else:
            await message.ack()

    async def _patiently(self, body: bytes) -> None:
        """Do a job as soon as all that it needs is there, however long that takes.

        An outage of ours is no fault of the job's, so it must not use up the job's attempts.
        """
        delay = self._first_delay
        while True:
            try:
                await self._handler.handle(body)
            except JobDelayedError as error:
                _log.warning("job_delayed", reason=str(error), again_in=delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _MAX_RETRY_DELAY)
            else:
                return

    async def _again(
        self, message: AbstractIncomingMessage, channel: AbstractChannel, error: Exception
    ) -> None:
        before = _deliveries(message)
        if before + 1 >= ATTEMPTS:
            reason = f"failed {ATTEMPTS} times, at last with {type(error).__name__}"
            await self._set_aside(message, channel, code="gave_up", reason=reason)
            return
        await asyncio.sleep(min(self._first_delay * 2**before, _MAX_RETRY_DELAY))
        await message.nack(requeue=True)

    async def _set_aside(
        self, message: AbstractIncomingMessage, channel: AbstractChannel, *, code: str, reason: str
    ) -> None:
        """Move a job, as it came, to the dead-letter queue; acknowledge it only afterwards."""
        _log.warning("job_set_aside", message_id=message.message_id, code=code)
        copy = Message(
            message.body,
            headers={
                "x-reason-code": code,
                "x-reason": reason[:_REASON_LENGTH],
                "x-deliveries": _deliveries(message) + 1,
            },
            content_type=message.content_type,
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=message.message_id,
            type=message.type,
        )
        dead = await self._declare_dead(channel)
        await dead.publish(copy, message.routing_key or "", mandatory=True)
        await message.ack()


def _deliveries(message: AbstractIncomingMessage) -> int:
    """Return how often the job was delivered before."""
    count = message.headers.get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0
