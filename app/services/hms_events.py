"""Events written down, those that come at the same time in one transaction for each tenant.

A commit waits for the disk, and one that waits for a hundred events takes no longer than for one.
So while a tenant's transaction is under way, and until milliseconds have passed since it began,
what comes is gathered, and written by the next. An event that comes alone is written at once.

Inbound events, recorded and brought to their streams: by the API soon, else by the relay.

Recorded events brought to their streams right away, a few lanes at a time, beside the requests.

A burst of events is answered as fast as the database takes it; their streams are told as fast as
Temporal takes that. What this process cannot do, the relay does: Temporal is away, too much waits,
or the process ends.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.exc import IntegrityError

from app.services.hms_beams import StoredBeams, TemporalStreams
from app.services.streams import StreamCreation, StreamStarter
from domain.hms.beam import Outcome, deliver
from domain.hms.effects import (
    Annotate,
    BeamRef,
    Effect,
    EndSession,
    Ignore,
    beam_stream_id,
    effect_of,
)
from domain.hms.events import HmsEvent
from domain.hms.reconciliation import Repair, repair_id
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.errors import RecordMissingError
from infra.db.repositories import inbound_events
from infra.db.repositories.inbound_events import Lane, NewEvent, PendingEvent
from infra.ssrf import UrlGuard
from infra.temporal.client import TemporalRefusedError, TemporalUnavailableError

MOST_EVENTS: Final = 256
"""Of one transaction."""


MOST_BYTES: Final = 4 << 20
"""Of the bodies of one transaction, unless one alone is larger."""


MOST_WAITING_BYTES: Final = 32 << 20
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
        self, database: Database, *, at_a_time: int = 4, most_waiting: int = MOST_WAITING_BYTES
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


MAX_ATTEMPTS: Final = 5
"""After so many unforeseen errors an event is given up, so that those behind it get their turn."""


_CAUSE_LENGTH: Final = 500


_AWAY: Final = (TemporalUnavailableError, DatabaseUnavailableError)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An event is in the database.

    Attributes:
        is_new: it had not been recorded before.
        lane: what is to be done now; None when there is nothing to do, as for an event that was
            recorded before, which is done, or pending and the relay's.
    """

    is_new: bool
    lane: Lane | None = None


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What was done of a lane: events delivered, and whether some had to be left."""

    delivered: int = 0
    is_empty: bool = True


class InboundDelivery:
    """Records events and does what they ask for, in order within each lane.

    Doing it twice is doing it once, so that processes need no lock between them: any may take the
    same events, and each takes a lane's events in order. Within a process lanes take turns, so that
    a burst of events is not done as many times as it has events.

    Args:
        database: where events and beams are.
        starter: of the streams' workflows.
        creation: makes new streams.
        guard: what playlists may be requested.
    """

    def __init__(
        self,
        *,
        database: Database,
        starter: StreamStarter,
        creation: StreamCreation,
        guard: UrlGuard,
    ) -> None:
        self._database = database
        self._starter = starter
        self._creation = creation
        self._guard = guard
        self._journal = InboundJournal(database)
        self._turns: WeakValueDictionary[tuple[UUID, Lane], asyncio.Lock] = WeakValueDictionary()

    async def record(
        self, event: HmsEvent, *, tenant_id: UUID, connection_id: UUID, body: bytes
    ) -> Recorded:
        """Record an event."""
        effect = effect_of(event)
        return await self._record(
            NewEvent(
                tenant_id=tenant_id,
                connection_id=connection_id,
                event_id=event.id,
                type=event.type,
                effect=effect,
                lane=_lane(effect),
                stream_id=_stream_id(effect, tenant_id, connection_id),
                is_replay=event.is_replay,
                body=None if event.is_about_people else body,
                occurred_at=event.timestamp,
            )
        )

    async def record_repair(
        self, repair: Repair, *, tenant_id: UUID, connection_id: UUID
    ) -> Recorded:
        """Record what reconciliation found as an event of our own."""
        return await self._record(
            NewEvent(
                tenant_id=tenant_id,
                connection_id=connection_id,
                event_id=repair_id(repair),
                type=f"reconcile.{repair.kind}",
                effect=repair,
                lane=repair.beam.lane,
                stream_id=_stream_id(repair, tenant_id, connection_id),
            )
        )

    async def _record(self, event: NewEvent) -> Recorded:
        is_new = await self._journal.record(event)
        if not is_new or event.lane is None:
            return Recorded(is_new=is_new)
        return Recorded(is_new=True, lane=Lane(connection_id=event.connection_id, name=event.lane))

    async def drain(self, tenant_id: UUID, lane: Lane) -> Drained:
        """Do the pending events of a lane in order, those that come meanwhile included.

        Raises:
            TemporalUnavailableError: the workflow service is away.
            DatabaseUnavailableError: the database is.
        """
        turn = self._turns.setdefault((tenant_id, lane), asyncio.Lock())
        async with turn:
            return await self._drain(tenant_id, lane)

    async def _drain(self, tenant_id: UUID, lane: Lane) -> Drained:
        delivered = 0
        while True:
            async with self._database.session(tenant_id) as session:
                events = await inbound_events.pending(session, tenant_id=tenant_id, lane=lane)
            if not events:
                return Drained(delivered=delivered)
            for event in events:
                if not await self._deliver(tenant_id, lane.connection_id, event):
                    return Drained(delivered=delivered, is_empty=False)
                delivered += 1

    async def pending_lanes(self, tenant_id: UUID, *, min_age: timedelta, limit: int) -> list[Lane]:
        """Return the lanes of a tenant that wait for the relay."""
        async with self._database.session(tenant_id) as session:
            return await inbound_events.pending_lanes(
                session, tenant_id=tenant_id, min_age=min_age, limit=limit
            )

    async def _deliver(self, tenant_id: UUID, connection_id: UUID, event: PendingEvent) -> bool:
        """Do one event; answer whether those behind it may go on."""
        beams = StoredBeams(
            self._database,
            creation=self._creation,
            guard=self._guard,
            tenant_id=tenant_id,
            connection_id=connection_id,
        )
        streams = TemporalStreams(
            self._database, self._starter, tenant_id=tenant_id, connection_id=connection_id
        )
        try:
            outcome = await deliver(event.effect, beams=beams, streams=streams)
        except Exception as error:
            # What is away comes back; of anything else, one event must not hold up all others.
            if isinstance(error, _AWAY) and not isinstance(error, TemporalRefusedError):
                raise
            _log.exception("inbound_delivery_failed", tenant_id=str(tenant_id))
            if event.attempts + 1 < MAX_ATTEMPTS:
                await self._note_failure(tenant_id, connection_id, event, error)
                return False
            await self._complete(tenant_id, connection_id, event, Outcome.GIVEN_UP, _cause(error))
            return True
        await self._complete(
            tenant_id,
            connection_id,
            event,
            outcome,
            beams.refusal or "",
            stream_id=None if isinstance(event.effect, EndSession) else beams.stream_id,
        )
        return True

    async def _complete(
        self,
        tenant_id: UUID,
        connection_id: UUID,
        event: PendingEvent,
        outcome: Outcome,
        detail: str,
        *,
        stream_id: UUID | None = None,
    ) -> None:
        async with self._database.session(tenant_id) as session:
            await inbound_events.complete(
                session,
                tenant_id=tenant_id,
                connection_id=connection_id,
                event_id=event.event_id,
                outcome=outcome,
                detail=detail,
                stream_id=stream_id,
            )
        _log.info(
            "inbound_delivered",
            tenant_id=str(tenant_id),
            effect=event.effect.kind,
            outcome=outcome.value,
        )

    async def _note_failure(
        self, tenant_id: UUID, connection_id: UUID, event: PendingEvent, error: Exception
    ) -> None:
        async with self._database.session(tenant_id) as session:
            await inbound_events.note_failure(
                session,
                tenant_id=tenant_id,
                connection_id=connection_id,
                event_id=event.event_id,
                detail=_cause(error),
            )


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\x00", "")[:_CAUSE_LENGTH]


def _beam(effect: Effect) -> BeamRef | None:
    return None if isinstance(effect, Ignore | EndSession) else effect.beam


def _lane(effect: Effect) -> str | None:
    """Return where an effect must be done in order; None where there is nothing to do."""
    if isinstance(effect, Annotate | Ignore):
        return None
    return effect.lane if isinstance(effect, EndSession) else effect.beam.lane


def _stream_id(effect: Effect, tenant_id: UUID, connection_id: UUID) -> UUID | None:
    beam = _beam(effect)
    if beam is None:
        return None
    return beam_stream_id(tenant_id=tenant_id, connection_id=connection_id, key=beam.key)


AT_A_TIME: Final = 4
"""Lanes; each takes a connection to the database now and then, which requests need too."""


MOST_UNPROCESSED: Final = 10_000
"""Lanes that wait here; more are the relay's."""


_BREAK: Final = 5.0
"""Seconds for which nothing is tried after Temporal did not answer."""


_GRACE: Final = 2.0
"""Seconds that what is under way has to end when the process does."""


_Waiting = OrderedDict[tuple[UUID, Lane], asyncio.Future[None]]


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
            if len(self._waiting) + len(self._again) >= MOST_UNPROCESSED:
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
