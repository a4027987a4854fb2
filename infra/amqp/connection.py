"""Working with a broker that may be away at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NoReturn

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPChannelError, AMQPError, ChannelInvalidStateError

from infra.db.engine import DatabaseUnavailableError
from infra.redaction import redact

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
    """Do `work` on a channel with publisher confirms, again and again, until cancelled.

    Whatever ends it, an outage or a mistake of ours, is logged and followed by another try after a
    delay that doubles up to five seconds: the caller is never hurt by it. A message that must
    reach a queue (`mandatory`) and does not raises `PublishError`.

    Args:
        url: of the broker.
        work: ends by an error only.
        name: of the connection, in the log and in the broker's lists.
        first_delay: seconds before the first new try.
    """
    delay = first_delay
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            await _once(url, work, name)
        except _OUTAGES as error:
            _log.warning("broker_lost", connection=name, error=_words(error), again_in=delay)
        except Exception:  # noqa: BLE001 - must not end the worker beside whose work this is
            _log.exception("broker_work_failed", connection=name, again_in=delay)
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
        await work(channel)
    finally:
        # A broker that hangs does not answer a good-bye either, and somebody may wait for us.
        with suppress(*_OUTAGES):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await connection.close()


def _words(error: BaseException) -> str:
    """Describe an outage: of what the broker refused it says why, and never its URL."""
    if isinstance(error, AMQPChannelError):
        return redact(f"{type(error).__name__}: {error}")
    return type(error).__name__
