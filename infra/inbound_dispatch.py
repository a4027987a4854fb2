"""Recorded events brought to their streams right away, a few lanes at a time, beside the requests.

A burst of events is answered as fast as the database takes it; their streams are told as fast as
Temporal takes that. What this process cannot do, the relay does: Temporal is away, too much waits,
or the process ends.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from typing import Final
from uuid import UUID

import structlog

from infra.database import DatabaseUnavailableError
from infra.inbound_delivery import InboundDelivery
from infra.repositories.inbound_events import Lane
from infra.temporal_connection import TemporalUnavailableError

AT_A_TIME: Final = 4
"""Lanes; each takes a connection to the database now and then, which requests need too."""

MOST_WAITING: Final = 10_000
"""Lanes that wait here; more are the relay's."""

_BREAK: Final = 5.0
"""Seconds for which nothing is tried after Temporal did not answer."""

_GRACE: Final = 2.0
"""Seconds that what is under way has to end when the process does."""

_AWAY: Final = (TemporalUnavailableError, DatabaseUnavailableError)
_Waiting = OrderedDict[tuple[UUID, Lane], asyncio.Future[None]]
_log = structlog.get_logger(__name__)


class InboundDispatch:
    """Has lanes drained, in the order in which they were named, each by one drain at a time.

    Args:
        delivery: drains them.
        clock: seconds from any origin.
    """

    def __init__(
        self, delivery: InboundDelivery, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._delivery = delivery
        self._clock = clock
        self._away_until = -_BREAK
        self._waiting: _Waiting = OrderedDict()
        self._again: _Waiting = OrderedDict()
        self._draining: set[tuple[UUID, Lane]] = set()
        self._drains: set[asyncio.Task[None]] = set()

    @property
    def is_away(self) -> bool:
        """Whether Temporal did not answer lately, so that it is not tried."""
        return self._clock() < self._away_until

    async def deliver(self, tenant_id: UUID, lane: Lane, *, patience: float) -> None:
        """Have a lane's events done, and wait for that, but no longer than `patience` seconds.

        What takes longer goes on.
        """
        done = self._enter((tenant_id, lane))
        if done is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await asyncio.shield(done)

    async def close(self) -> None:
        """Let what is under way end, if it does so soon; the rest is the relay's."""
        self._leave_to_relay()
        if self._drains:
            _, late = await asyncio.wait(self._drains, timeout=_GRACE)
            for each in late:
                each.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _enter(self, key: tuple[UUID, Lane]) -> asyncio.Future[None] | None:
        """Let a lane wait for its turn; return what is done when it was drained."""
        if self.is_away:
            return None
        # What a drain has read may be older than this event, so that another has to follow.
        waiting = self._again if key in self._draining else self._waiting
        done = waiting.get(key)
        if done is None:
            if len(self._waiting) + len(self._again) >= MOST_WAITING:
                return None
            loop = asyncio.get_running_loop()
            done = waiting[key] = loop.create_future()
            if len(self._drains) < AT_A_TIME:
                # In a context of its own: what it logs is not about the request that came first.
                self._drains.add(loop.create_task(self._drain(), context=Context()))
        return done

    async def _drain(self) -> None:
        """Drain lanes until none waits."""
        try:
            while self._waiting:
                await self._drain_first()
        finally:
            # Not in a callback of the task, which comes later than the next event may.
            task = asyncio.current_task()
            self._drains -= {task} if task is not None else set()

    async def _drain_first(self) -> None:
        key, done = self._waiting.popitem(last=False)
        self._draining.add(key)
        try:
            await self._try(self._delivery.drain(*key), tenant_id=key[0])
        finally:
            self._draining.discard(key)
            _resolve(done)
        again = self._again.pop(key, None)
        if again is not None:
            self._waiting[key] = again

    async def _try(self, drain: Awaitable[object], *, tenant_id: UUID) -> None:
        try:
            await drain
        except _AWAY as error:
            self._away_until = self._clock() + _BREAK
            self._leave_to_relay()
            cause = type(error).__name__
            _log.warning("inbound_left_to_relay", tenant_id=str(tenant_id), cause=cause)
        except Exception:  # noqa: BLE001 - the events are recorded, so they are received
            _log.exception("inbound_left_to_relay", tenant_id=str(tenant_id))

    def _leave_to_relay(self) -> None:
        for waiting in (self._waiting, self._again):
            while waiting:
                _resolve(waiting.popitem()[1])


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
