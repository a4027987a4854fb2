"""Events written down, those that come at the same time in one transaction for each tenant.

A commit waits for the disk, and one that waits for a hundred events takes no longer than for one.
So while a tenant's transaction is under way, and until milliseconds have passed since it began,
what comes is gathered, and written by the next. An event that comes alone is written at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError

from infra.database import Database, DatabaseUnavailableError
from infra.repositories import inbound_events
from infra.repositories.errors import RecordMissingError
from infra.repositories.inbound_events import NewEvent

MOST_EVENTS: Final = 256
"""Of one transaction."""

MOST_BYTES: Final = 4 << 20
"""Of the bodies of one transaction, unless one alone is larger."""

MOST_WAITING: Final = 32 << 20
"""Bytes of all events that wait; what is more is not taken in, and 100ms tries it again."""

PACE: Final = 0.005
"""Seconds from the beginning of a tenant's transaction to that of its next, at least."""

_ROW: Final = 1024
"""Bytes that an event holds on to beside its body, roughly."""

_FOREIGN_KEY_VIOLATION: Final = "23503"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Entry:
    event: NewEvent
    written: asyncio.Future[bool]

    @property
    def size(self) -> int:
        return len(self.event.body or b"") + _ROW


class InboundJournal:
    """Records events; whoever records one knows afterwards that it is durable.

    The events of a tenant are written in the order in which they came, by one transaction at a
    time, as that tenant. One that the database does not take fails alone.

    Args:
        database: where they are written.
        at_a_time: transactions of all tenants together, fewer than there are connections.
        most_waiting: bytes of events that may wait.
    """

    def __init__(
        self, database: Database, *, at_a_time: int = 4, most_waiting: int = MOST_WAITING
    ) -> None:
        self._database = database
        self._places = asyncio.Semaphore(at_a_time)
        self._most_waiting = most_waiting
        self._waiting: dict[UUID, deque[_Entry]] = {}
        self._bytes = 0
        self._writers: set[asyncio.Task[None]] = set()

    async def record(self, event: NewEvent) -> bool:
        """Record an event; answer whether it is new, once that is committed.

        Raises:
            DatabaseUnavailableError: it is not safe: the database is away, or far behind.
            RecordMissingError: its connection was deleted.
        """
        loop = asyncio.get_running_loop()
        entry = _Entry(event=event, written=loop.create_future())
        if self._bytes + entry.size > self._most_waiting:
            raise DatabaseUnavailableError("too many events wait to be written")
        self._bytes += entry.size
        waiting = self._waiting.get(event.tenant_id)
        if waiting is None:
            self._waiting[event.tenant_id] = deque([entry])
            # In a context of its own: what it logs is not about the request that came first.
            writer = loop.create_task(self._write(event.tenant_id), context=Context())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        else:
            waiting.append(entry)
        return await entry.written

    async def _write(self, tenant_id: UUID) -> None:
        """Write a tenant's events until none has come for a while."""
        waiting = self._waiting[tenant_id]
        clock = asyncio.get_running_loop().time
        while waiting:
            async with self._places:
                begun = clock()
                batch = _take(waiting)
                try:
                    await self._commit(tenant_id, batch)
                finally:
                    self._bytes -= sum(entry.size for entry in batch)
            if len(batch) < MOST_EVENTS:
                await asyncio.sleep(max(0.0, begun + PACE - clock()))
        del self._waiting[tenant_id]

    async def _commit(self, tenant_id: UUID, batch: Sequence[_Entry]) -> None:
        try:
            async with self._database.session(tenant_id) as session:
                new = await inbound_events.record(session, [entry.event for entry in batch])
        except (DatabaseUnavailableError, TimeoutError) as error:
            # Each gets an error of its own: raising one many times would chain their tracebacks.
            for entry in batch:
                _fail(entry, DatabaseUnavailableError(str(error)))
        except Exception as error:  # noqa: BLE001 - whoever recorded the event hears of it
            if len(batch) == 1:
                _fail(batch[0], _told(error, batch[0].event))
                return
            # One of them is to blame: the others are found by halves, in order.
            _log.warning("inbound_batch_split", events=len(batch), cause=type(error).__name__)
            half = len(batch) // 2
            await self._commit(tenant_id, batch[:half])
            await self._commit(tenant_id, batch[half:])
        else:
            for entry in batch:
                name = (entry.event.connection_id, entry.event.event_id)
                if not entry.written.done():  # else its sender has gone
                    entry.written.set_result(name in new)
                new.discard(name)  # the same event again, in the same batch, is not new


def _told(error: Exception, event: NewEvent) -> Exception:
    """Return what the recorder of an event is told when the database does not take it."""
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, IntegrityError) else None
    if state == _FOREIGN_KEY_VIOLATION:
        return RecordMissingError("connection", event.connection_id)
    return error


def _take(waiting: deque[_Entry]) -> list[_Entry]:
    batch = [waiting.popleft()]
    size = batch[0].size
    while waiting and len(batch) < MOST_EVENTS and size + waiting[0].size <= MOST_BYTES:
        batch.append(waiting.popleft())
        size += batch[-1].size
    return batch


def _fail(entry: _Entry, error: Exception) -> None:
    if not entry.written.done():
        entry.written.set_exception(error)
