"""Events of 100ms: stored by the API, dispatched to their sessions, processed by the worker.

An event is first written to PostgreSQL (`EventWriter`), then the workflow of its session is
signaled (`EventDispatcher`), which processes the session's pending events in order
(`EventProcessor`). What could not be dispatched, the relay dispatches later.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.service import RPCError

from app.services.streams import NewStream, StreamCreation, StreamStarter, close_orphan
from app.services.tenants import TenantNames
from domain import task_queues
from domain.hms.beam import (
    SESSION_CLOSED,
    Beam,
    BeamEnd,
    BeamRecording,
    BeamTransition,
    Command,
    Outcome,
    StreamRefusedError,
    advance,
    apply_effect,
)
from domain.hms.effects import (
    Annotate,
    BeamRef,
    Effect,
    EndKind,
    EndSession,
    EndStream,
    Ignore,
    OfferRecording,
    StartStream,
    beam_stream_id,
    effect_of,
)
from domain.hms.events import HmsEvent
from domain.hms.messages import ProcessedEvents, SessionInput, SessionRef
from domain.hms.reconciliation import Repair, repair_id
from domain.ids import SearchAttribute, session_workflow_id
from domain.streams.messages import RecordingReady
from domain.streams.report import stream_title
from domain.streams.status import TERMINAL
from domain.tenants.usage import StreamQuotaExceededError
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.errors import RecordMissingError
from infra.db.repositories import beams, connections, inbound_events, streams
from infra.db.repositories.inbound_events import NewEvent, PendingEvent
from infra.db.repositories.publication import policies
from infra.db.tables import BeamRow, Connection, Stream
from infra.ssrf import UrlForbiddenError, UrlGuard
from infra.temporal.client import REFUSALS, TemporalRefusedError, TemporalUnavailableError
from workflows.session import SessionWorkflow

_TITLE_LENGTH = 200


class SqlBeamRepository:
    """The beams of one connection; implements `domain.hms.beam.BeamRepository`.

    Attributes:
        refusal: why a stream was refused; None if none was.
        stream_id: the stream of the last effect; None before any.
    """

    def __init__(
        self,
        database: Database,
        *,
        creation: StreamCreation,
        guard: UrlGuard,
        tenant_id: UUID,
        connection_id: UUID,
    ) -> None:
        self._database = database
        self._creation = creation
        self._guard = guard
        self._tenant_id = tenant_id
        self._connection_id = connection_id
        self.refusal: str | None = None
        self.stream_id: UUID | None = None

    async def advance(self, effect: StartStream | EndStream | OfferRecording) -> BeamTransition:
        """Apply the rule in one transaction, which also creates the row of a new stream.

        Raises:
            StreamRefusedError: the stream may not be created; nothing has changed.
        """
        try:
            async with self._database.session(self._tenant_id) as session:
                row = await beams.lock(
                    session,
                    tenant_id=self._tenant_id,
                    connection_id=self._connection_id,
                    ref=effect.beam,
                )
                self.stream_id = row.stream_id
                closed = await self._is_session_closed(session, row)
                step = advance(beams.beam_of(row), effect, session_closed=closed)
                if step.command is Command.START or step.outcome is Outcome.RECOVERED:
                    await self._ensure_stream(session, row.stream_id, effect)
                beams.write(row, step.beam)
        except StreamRefusedError as error:
            self.refusal = str(error)
            raise
        return step

    async def reload(self, ref: BeamRef) -> Beam:
        """Return the beam's current state; the end of its session becomes its own."""
        async with self._database.session(self._tenant_id) as session:
            row = await beams.lock(
                session, tenant_id=self._tenant_id, connection_id=self._connection_id, ref=ref
            )
            beam = beams.beam_of(row)
            if beam.end is None and await self._is_session_closed(session, row):
                beam = beam.close(SESSION_CLOSED)
                beams.write(row, beam)
        return beam

    async def close_session(self, effect: EndSession) -> tuple[BeamRef, ...]:
        """Record that a session is over; return its beams whose streams have not ended.

        Committed before the beams are read, so that a start that did not see it is found.
        """
        if effect.session_id is not None:
            async with self._database.session(self._tenant_id) as session:
                await beams.close_session(
                    session,
                    tenant_id=self._tenant_id,
                    connection_id=self._connection_id,
                    session_id=effect.session_id,
                )
        async with self._database.session(self._tenant_id) as session:
            return await beams.unfinished(
                session,
                tenant_id=self._tenant_id,
                connection_id=self._connection_id,
                effect=effect,
            )

    async def _is_session_closed(self, session: AsyncSession, row: BeamRow) -> bool:
        return await beams.is_session_closed(
            session,
            tenant_id=self._tenant_id,
            connection_id=self._connection_id,
            session_id=row.session_id,
        )

    async def _ensure_stream(
        self,
        session: AsyncSession,
        stream_id: UUID,
        effect: StartStream | EndStream | OfferRecording,
    ) -> None:
        if isinstance(effect, EndStream):
            return
        if await streams.get(session, tenant_id=self._tenant_id, stream_id=stream_id) is not None:
            return
        try:
            self._guard.check(effect.url)
        except UrlForbiddenError as error:
            raise StreamRefusedError(str(error)) from error
        connection = await connections.get(
            session, tenant_id=self._tenant_id, connection_id=self._connection_id
        )
        if connection is None:
            raise StreamRefusedError("The connection was deleted.")
        new = NewStream(
            tenant_id=self._tenant_id,
            stream_id=stream_id,
            playlist_url=effect.url,
            game=connection.game,
            title=_title(connection, effect.beam),
            external_id=effect.beam.room_id,
            policy=policies.read_policy(connection.policy),
            correlation_id=effect.beam.key,
        )
        try:
            await self._creation.create(session, new)
        except StreamQuotaExceededError as error:
            raise StreamRefusedError(str(error)) from error


class TemporalStreamControl:
    """The workflows of one connection's beams; implements `domain.hms.beam.StreamControl`."""

    def __init__(
        self, database: Database, starter: StreamStarter, *, tenant_id: UUID, connection_id: UUID
    ) -> None:
        self._database = database
        self._starter = starter
        self._tenant_id = tenant_id
        self._connection_id = connection_id

    async def start(self, ref: BeamRef) -> None:
        """Start the beam's workflow, unless it was started before or its stream has ended."""
        stream = await self._stream(ref)
        if stream is not None and stream.status not in TERMINAL:
            await self._starter.start(stream)

    async def end(self, ref: BeamRef, end: BeamEnd) -> None:
        """Signal the end to the workflow; a stream without a workflow is closed.

        An ended stream is signaled as well: its workflow may have started at the same moment.
        """
        stream = await self._stream(ref)
        if stream is None:
            return
        if end.how is EndKind.FAILED:
            is_running = await self._starter.fail(
                stream, error_type=end.error_type, message=end.message
            )
        else:
            is_running = await self._starter.stop(stream, message=end.message)
        if not is_running and stream.status not in TERMINAL:
            await close_orphan(self._database, stream)

    async def offer(self, ref: BeamRef, recording: BeamRecording) -> None:
        """Signal a recording to the workflow, or backfill the stream from it if none runs."""
        stream = await self._stream(ref)
        if stream is None:
            return
        ready = RecordingReady(url=recording.url, duration=recording.duration)
        if not await self._starter.offer_recording(stream, ready):
            await self._starter.backfill(stream, ready)

    async def _stream(self, ref: BeamRef) -> Stream | None:
        async with self._database.session(self._tenant_id) as session:
            return await beams.stream_of(
                session, tenant_id=self._tenant_id, connection_id=self._connection_id, ref=ref
            )


def _title(connection: Connection, ref: BeamRef) -> str:
    """Return the connection's title, `{room}` in it being the room's id."""
    return connection.title.replace("{room}", ref.room_id or "")[:_TITLE_LENGTH]


MAX_BATCH_EVENTS: Final = 256
"""Events in one transaction."""


MAX_BATCH_BYTES: Final = 4 << 20
"""Bytes of the bodies in one transaction, unless one alone is larger."""


MAX_QUEUED_BYTES: Final = 32 << 20
"""Bytes of all queued events; beyond that an event is refused, and 100ms sends it again."""


BATCH_INTERVAL: Final = 0.005
"""Minimum seconds between the beginnings of two transactions of a tenant."""


MAX_ATTEMPTS: Final = 5
"""An event that failed this often is given up, so that the events behind it are processed."""


MAX_QUEUED_SIGNALS: Final = 10_000
"""Signals that wait in this process; what is beyond that is left to the relay."""


CONCURRENT_SIGNALS: Final = 32
"""Signals under way at a time in this process."""


PROCESSING_BATCH: Final = 50
"""Events of a session that one activity processes."""


_ROW_BYTES: Final = 1024
"""Memory of a queued event beside its body, roughly."""


_FOREIGN_KEY_VIOLATION: Final = "23503"


_CAUSE_LENGTH: Final = 500


_RPC_TIMEOUT: Final = timedelta(seconds=5)


_TENANT_ID: Final = SearchAttributeKey.for_keyword(SearchAttribute.TENANT_ID)


_UNAVAILABLE: Final = (TemporalUnavailableError, DatabaseUnavailableError)


_BREAK: Final = 5.0
"""Seconds without further signals after Temporal did not answer."""


_CLOSE_TIMEOUT: Final = 2.0
"""Seconds that signals under way have to finish when the process stops."""


_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class _QueuedEvent:
    event: NewEvent
    written: asyncio.Future[bool]

    @property
    def size(self) -> int:
        return len(self.event.body or b"") + _ROW_BYTES


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    """Result of storing an event.

    Attributes:
        is_new: the event had not been stored before.
        session: whose workflow is to be signaled. None if there is nothing to do: the event has no
            effect, or was stored before and is processed or pending.
        correlation_id: of the stream that the event is about; None if it is about none.
    """

    is_new: bool
    session: SessionRef | None = None
    correlation_id: str | None = None


class EventWriter:
    """Stores events by group commit: those that arrive together share a transaction.

    A commit waits for the disk, and one for a hundred events takes no longer than one for a single
    event. So while a tenant's transaction is under way, and until `BATCH_INTERVAL` has passed since
    it began, its events are queued and written by the next. A lone event is written at once. The
    events of a tenant are written in the order in which they came, one transaction at a time, as
    that tenant. If the database refuses a batch, only the event at fault fails.

    Args:
        database: where they are written.
        concurrency: transactions of all tenants at a time, fewer than there are connections.
        max_queued_bytes: memory of queued events.
    """

    def __init__(
        self, database: Database, *, concurrency: int = 4, max_queued_bytes: int = MAX_QUEUED_BYTES
    ) -> None:
        self._database = database
        self._slots = asyncio.Semaphore(concurrency)
        self._max_queued_bytes = max_queued_bytes
        self._queues: dict[UUID, deque[_QueuedEvent]] = {}
        self._queued_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def store(
        self, event: HmsEvent, *, tenant_id: UUID, connection_id: UUID, body: bytes
    ) -> StoredEvent:
        """Store an event of 100ms. It is durable on return.

        Raises:
            DatabaseUnavailableError: it is not stored: the database is away, or far behind.
            RecordMissingError: its connection was deleted.
        """
        effect = effect_of(event)
        return await self._store(
            NewEvent(
                tenant_id=tenant_id,
                connection_id=connection_id,
                event_id=event.id,
                type=event.type,
                effect=effect,
                partition=_partition(effect),
                stream_id=_stream_id(effect, tenant_id, connection_id),
                is_replay=event.is_replay,
                body=None if event.is_about_people else body,
                occurred_at=event.timestamp,
            )
        )

    async def store_repair(
        self, repair: Repair, *, tenant_id: UUID, connection_id: UUID
    ) -> StoredEvent:
        """Store a repair that reconciliation found, as an event of our own."""
        return await self._store(
            NewEvent(
                tenant_id=tenant_id,
                connection_id=connection_id,
                event_id=repair_id(repair),
                type=f"reconcile.{repair.kind}",
                effect=repair,
                partition=repair.beam.partition,
                stream_id=_stream_id(repair, tenant_id, connection_id),
            )
        )

    async def _store(self, event: NewEvent) -> StoredEvent:
        is_new = await self.write(event)
        beam = _beam(event.effect)
        correlation_id = None if beam is None else beam.key
        if not is_new or event.partition is None:
            return StoredEvent(is_new=is_new, correlation_id=correlation_id)
        session = SessionRef(
            tenant_id=event.tenant_id,
            connection_id=event.connection_id,
            partition=event.partition,
        )
        return StoredEvent(is_new=True, session=session, correlation_id=correlation_id)

    async def write(self, event: NewEvent) -> bool:
        """Write an event; return True if it is new, once that is committed.

        Raises:
            DatabaseUnavailableError: it is not stored: the database is away, or far behind.
            RecordMissingError: its connection was deleted.
        """
        loop = asyncio.get_running_loop()
        queued = _QueuedEvent(event=event, written=loop.create_future())
        if self._queued_bytes + queued.size > self._max_queued_bytes:
            raise DatabaseUnavailableError("too many events wait to be written")
        self._queued_bytes += queued.size
        queue = self._queues.get(event.tenant_id)
        if queue is None:
            self._queues[event.tenant_id] = deque([queued])
            # In an empty context: its log lines do not belong to the first request.
            task = loop.create_task(self._write_queue(event.tenant_id), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            queue.append(queued)
        return await queued.written

    async def _write_queue(self, tenant_id: UUID) -> None:
        """Write a tenant's events until none has come for a while."""
        queue = self._queues[tenant_id]
        clock = asyncio.get_running_loop().time
        while queue:
            async with self._slots:
                began = clock()
                batch = _pop_batch(queue)
                try:
                    await self._commit(tenant_id, batch)
                finally:
                    self._queued_bytes -= sum(each.size for each in batch)
            if len(batch) < MAX_BATCH_EVENTS:
                await asyncio.sleep(max(0.0, began + BATCH_INTERVAL - clock()))
        del self._queues[tenant_id]

    async def _commit(self, tenant_id: UUID, batch: Sequence[_QueuedEvent]) -> None:
        try:
            async with self._database.session(tenant_id) as session:
                new = await inbound_events.record(session, [each.event for each in batch])
        except (DatabaseUnavailableError, TimeoutError) as error:
            # Each gets a new error: raising one many times would chain their tracebacks.
            for each in batch:
                _fail(each, DatabaseUnavailableError(str(error)))
        except Exception as error:  # noqa: BLE001 - raised again where the event is awaited
            if len(batch) == 1:
                _fail(batch[0], _write_error(error, batch[0].event))
                return
            # One of them is at fault: the others are written by halves, in order.
            _log.warning("inbound_batch_split", events=len(batch), cause=type(error).__name__)
            half = len(batch) // 2
            await self._commit(tenant_id, batch[:half])
            await self._commit(tenant_id, batch[half:])
        else:
            for each in batch:
                name = (each.event.connection_id, each.event.event_id)
                if not each.written.done():  # else its sender has gone
                    each.written.set_result(name in new)
                new.discard(name)  # the same event again, in the same batch, is not new


def _write_error(error: Exception, event: NewEvent) -> Exception:
    """Return the error to raise for an event that the database refused."""
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, IntegrityError) else None
    if state == _FOREIGN_KEY_VIOLATION:
        return RecordMissingError("connection", event.connection_id)
    return error


def _pop_batch(queue: deque[_QueuedEvent]) -> list[_QueuedEvent]:
    batch = [queue.popleft()]
    size = batch[0].size
    while queue and len(batch) < MAX_BATCH_EVENTS and size + queue[0].size <= MAX_BATCH_BYTES:
        batch.append(queue.popleft())
        size += batch[-1].size
    return batch


def _fail(queued: _QueuedEvent, error: Exception) -> None:
    if not queued.written.done():
        queued.written.set_exception(error)


def _partition(effect: Effect) -> str | None:
    """Return the order that an effect belongs to; None if there is nothing to do."""
    if isinstance(effect, Annotate | Ignore):
        return None
    return effect.partition if isinstance(effect, EndSession) else effect.beam.partition


def _beam(effect: Effect) -> BeamRef | None:
    return None if isinstance(effect, Ignore | EndSession) else effect.beam


def _stream_id(effect: Effect, tenant_id: UUID, connection_id: UUID) -> UUID | None:
    beam = _beam(effect)
    if beam is None:
        return None
    return beam_stream_id(tenant_id=tenant_id, connection_id=connection_id, key=beam.key)


class EventDispatcher:
    """Signals the workflows of sessions, and starts those that do not run.

    Args:
        connect: returns a client of Temporal, or raises TemporalUnavailableError.
        names: short names of tenants, shown to operators.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Client]],
        *,
        names: TenantNames | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._names = names
        self._clock = clock
        self._unavailable_until = -_BREAK
        self._slots = asyncio.Semaphore(CONCURRENT_SIGNALS)
        self._queued: dict[SessionRef, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False

    @property
    def is_unavailable(self) -> bool:
        """Return True if Temporal did not answer lately, so that it is not called."""
        return self._clock() < self._unavailable_until

    async def signal(self, session: SessionRef) -> None:
        """Signal the workflow of a session; it is started unless it is running.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
            TemporalRefusedError: it refuses this session.
        """
        client = await self._connect()
        tenant = str(session.tenant_id)
        if self._names is not None:
            tenant = await self._names.of(session.tenant_id)
        try:
            await client.start_workflow(
                SessionWorkflow.run,
                SessionInput(ref=session),
                id=session_workflow_id(
                    tenant_id=session.tenant_id,
                    connection_id=session.connection_id,
                    partition=session.partition,
                ),
                task_queue=task_queues.ORCHESTRATION,
                start_signal=SessionWorkflow.events_stored.__name__,
                search_attributes=TypedSearchAttributes(
                    [SearchAttributePair(_TENANT_ID, str(session.tenant_id))]
                ),
                priority=Priority(fairness_key=str(session.tenant_id)),
                static_summary=stream_title(
                    tenant=tenant, room=session.partition, title="100ms events", game=""
                ),
                rpc_timeout=_RPC_TIMEOUT,
            )
        except RPCError as error:
            _log.warning("temporal unavailable", status=str(error.status), error=error.message)
            if error.status in REFUSALS:
                raise TemporalRefusedError(
                    f"the workflow service refuses: {error.message}"
                ) from error
            raise TemporalUnavailableError("the workflow service does not answer") from error

    async def dispatch(self, session: SessionRef, *, ack_timeout: float) -> None:
        """Signal a session in the background, and wait up to `ack_timeout` seconds for that.

        Never fails: what cannot be signaled is left to the relay.
        """
        # A signal that has not been sent yet covers this event too.
        task = self._queued.get(session)
        if task is None:
            if self.is_unavailable or self._is_closing or len(self._tasks) >= MAX_QUEUED_SIGNALS:
                return
            # In an empty context: its log lines do not belong to the first request.
            task = asyncio.create_task(self._send(session), context=Context())
            self._queued[session] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=ack_timeout)

    async def close(self) -> None:
        """Wait briefly for signals under way; the rest is left to the relay."""
        self._is_closing = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT)
            for each in late:
                each.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _send(self, session: SessionRef) -> None:
        try:
            async with self._slots:
                self._queued.pop(session, None)
                if self.is_unavailable or self._is_closing:
                    return
                await self.signal(session)
        except TemporalUnavailableError as error:
            if not isinstance(error, TemporalRefusedError):
                self._unavailable_until = self._clock() + _BREAK
            cause = type(error).__name__
            _log.warning("inbound_left_to_relay", tenant_id=str(session.tenant_id), cause=cause)
        except Exception:  # noqa: BLE001 - the event is stored, so the sender is not concerned
            _log.exception("inbound_left_to_relay", tenant_id=str(session.tenant_id))


class EventProcessor:
    """Applies stored events to their streams, in order within each session. Idempotent.

    The SessionWorkflow lets one process at a time work on a session. It is safe nevertheless that
    two do, as when an attempt that counts as lost goes on (`domain/hms/beam.py`).

    Args:
        database: where events and beams are.
        starter: of the streams' workflows.
        creation: makes new streams.
        guard: which playlist URLs may be requested.
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

    async def pending_sessions(
        self, tenant_id: UUID, *, min_age: timedelta, limit: int
    ) -> list[SessionRef]:
        """Return a tenant's sessions with events pending for `min_age`, longest pending first."""
        async with self._database.session(tenant_id) as session:
            return await inbound_events.pending_sessions(
                session, tenant_id=tenant_id, min_age=min_age, limit=limit
            )

    async def process(self, ref: SessionRef) -> ProcessedEvents:
        """Process a batch of a session's pending events, oldest first.

        Raises:
            TemporalUnavailableError: the workflow service does not answer.
            DatabaseUnavailableError: the database does not.
            Exception: an event failed. It is tried `MAX_ATTEMPTS` times, then given up.
        """
        async with self._database.session(ref.tenant_id) as session:
            events = await inbound_events.pending(session, ref=ref, limit=PROCESSING_BATCH)
        for event in events:
            await self._process(ref, event)
        return ProcessedEvents(processed=len(events), has_more=len(events) == PROCESSING_BATCH)

    async def _process(self, ref: SessionRef, event: PendingEvent) -> None:
        beams = SqlBeamRepository(
            self._database,
            creation=self._creation,
            guard=self._guard,
            tenant_id=ref.tenant_id,
            connection_id=ref.connection_id,
        )
        streams = TemporalStreamControl(
            self._database,
            self._starter,
            tenant_id=ref.tenant_id,
            connection_id=ref.connection_id,
        )
        try:
            outcome = await apply_effect(event.effect, beams=beams, streams=streams)
        except Exception as error:
            # An outage passes. Any other failure must not block the session permanently.
            if isinstance(error, _UNAVAILABLE) and not isinstance(error, TemporalRefusedError):
                raise
            _log.exception("inbound_processing_failed", tenant_id=str(ref.tenant_id))
            if event.attempts + 1 < MAX_ATTEMPTS:
                await self._note_failure(ref, event, error)
                raise
            await self._complete(ref, event, Outcome.GIVEN_UP, _cause(error))
            return
        await self._complete(
            ref,
            event,
            outcome,
            beams.refusal or "",
            stream_id=None if isinstance(event.effect, EndSession) else beams.stream_id,
        )

    async def _complete(
        self,
        ref: SessionRef,
        event: PendingEvent,
        outcome: Outcome,
        detail: str,
        *,
        stream_id: UUID | None = None,
    ) -> None:
        async with self._database.session(ref.tenant_id) as session:
            await inbound_events.complete(
                session,
                tenant_id=ref.tenant_id,
                connection_id=ref.connection_id,
                event_id=event.event_id,
                outcome=outcome,
                detail=detail,
                stream_id=stream_id,
            )
        _log.info(
            "inbound_processed",
            tenant_id=str(ref.tenant_id),
            effect=event.effect.kind,
            outcome=outcome.value,
        )

    async def _note_failure(self, ref: SessionRef, event: PendingEvent, error: Exception) -> None:
        async with self._database.session(ref.tenant_id) as session:
            await inbound_events.note_failure(
                session,
                tenant_id=ref.tenant_id,
                connection_id=ref.connection_id,
                event_id=event.event_id,
                detail=_cause(error),
            )


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\x00", "")[:_CAUSE_LENGTH]
