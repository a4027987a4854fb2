"""The beams of a connection in PostgreSQL, and their streams in Temporal."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.services.streams import NewStream, StreamCreation, StreamStarter, close_orphan
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
)
from domain.hms.effects import BeamRef, EndKind, EndSession, EndStream, OfferRecording, StartStream
from domain.streams.messages import RecordingReady
from domain.streams.status import TERMINAL
from domain.tenants.usage import StreamQuotaExceededError
from infra.db.engine import Database
from infra.db.repositories import beams, connections, streams
from infra.db.tables import BeamRow, Connection, Stream
from infra.ssrf import UrlForbiddenError, UrlGuard

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
