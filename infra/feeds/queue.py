"""Messages of a feed from an AMQP queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError

from infra.errors import SetupError

_CONNECT_TIMEOUT: Final = 10.0


@asynccontextmanager
async def open_queue(
    url: str, queue: str, *, prefetch: int
) -> AsyncIterator[AsyncIterator[AbstractIncomingMessage]]:
    """Consume an existing queue; every message must be acknowledged or rejected.

    Raises:
        SetupError: the broker or the queue cannot be reached, or the connection broke.
    """
    try:
        connection = await aio_pika.connect(
            url,
            timeout=_CONNECT_TIMEOUT,
            client_properties={"connection_name": "highlights feed"},
        )
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=prefetch)
            found = await channel.get_queue(queue)
            async with found.iterator() as messages:
                yield messages
    except (AMQPError, OSError, TimeoutError, ValueError) as error:
        raise SetupError(
            f"The queue {queue!r} cannot be read: {type(error).__name__}: {error}.",
            remedy="Check the URL, and that the queue exists. Messages that were not sent stay in "
            "the queue.",
        ) from error
