"""Inbound events, recorded and brought to their streams: by the API soon, else by the relay."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from domain.hms.beam import Outcome
from domain.hms.delivery import deliver
from domain.hms.effects import (
    Annotate,
    BeamRef,
    Effect,
    EndSession,
    Ignore,
    beam_stream_id,
)
from domain.hms.events import HmsEvent
from domain.hms.lifecycle import effect_of
from domain.hms.reconciliation import Repair, repair_id
from infra.beam_book import StoredBeams, TemporalStreams
from infra.database import Database, DatabaseUnavailableError
from infra.inbound_journal import InboundJournal
from infra.repositories import inbound_events
from infra.repositories.inbound_events import Lane, NewEvent, PendingEvent
from infra.stream_creation import StreamCreation
from infra.stream_starter import StreamStarter
from infra.temporal_connection import TemporalRefusedError, TemporalUnavailableError
from infra.url_guard import UrlGuard

MAX_ATTEMPTS: Final = 5
"""After so many unforeseen errors an event is given up, so that those behind it get their turn."""

_CAUSE_LENGTH: Final = 500
_AWAY: Final = (TemporalUnavailableError, DatabaseUnavailableError)
_log = structlog.get_logger(__name__)


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
