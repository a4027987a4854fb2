"""Activities that write streams and clips, and read and write the state of backfills."""

from __future__ import annotations

from typing import Final

import structlog
from temporalio import activity

from activities.interfaces import BackfillRecords, Records
from app.services.webhooks import WebhookDispatcher
from domain.clips.models import ClipStatus
from domain.streams.backfill.messages import BackfillRecord, StoredStreamState, StreamRef
from domain.streams.messages import ClipRecord, StreamRecord
from infra.db.engine import Database, UnstorableValueError
from infra.db.repositories import backfills, clips, highlights, streams
from infra.telemetry.metrics import CLIPS

_UNSTORABLE: Final = "What the stream holds cannot be stored; this is our mistake and is logged."


_log = structlog.get_logger(__name__)


class RecordActivities(Records):
    """Writes streams and clips as upserts, so that each write is idempotent.

    Args:
        database: receives the records.
        dispatcher: sends events at once; without it, the outbox relay does.
    """

    def __init__(self, database: Database, dispatcher: WebhookDispatcher | None = None) -> None:
        self._database = database
        self._dispatcher = dispatcher

    @activity.defn(name="record_stream")
    async def record_stream(self, record: StreamRecord) -> None:
        try:
            async with self._database.session(record.tenant_id) as session:
                is_event = await streams.record_stream(session, record)
                if record.media_end is not None:
                    await highlights.end_at(
                        session,
                        tenant_id=record.tenant_id,
                        stream_id=record.stream_id,
                        media_end=record.media_end,
                    )
        except (UnstorableValueError, ArithmeticError) as error:
            _log.exception("stream_record_refused", stream_id=str(record.stream_id))
            async with self._database.session(record.tenant_id) as session:
                await streams.fail(session, record, message=_UNSTORABLE)
            raise UnstorableValueError(_UNSTORABLE) from error
        if is_event and self._dispatcher is not None:
            await self._dispatcher.try_dispatch(record.tenant_id)

    @activity.defn(name="record_clip")
    async def record_clip(self, record: ClipRecord) -> None:
        async with self._database.session(record.spec.tenant_id) as session:
            is_event = await clips.record_clip(session, record)
        if is_event and record.status in {ClipStatus.READY, ClipStatus.FAILED}:
            CLIPS.labels(record.status.value).inc()
        if is_event and self._dispatcher is not None:
            await self._dispatcher.try_dispatch(record.spec.tenant_id)


class BackfillRecordActivities(BackfillRecords):
    """Reads and writes the state of backfills; each write is idempotent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="recall_stream")
    async def recall_stream(self, request: StreamRef) -> StoredStreamState | None:
        async with self._database.session(request.tenant_id) as session:
            return await backfills.load_stream(session, request)

    @activity.defn(name="record_backfill")
    async def record_backfill(self, record: BackfillRecord) -> None:
        async with self._database.session(record.tenant_id) as session:
            await streams.record_stream(
                session,
                StreamRecord(
                    tenant_id=record.tenant_id,
                    stream_id=record.stream_id,
                    progress=record.progress,
                ),
            )
            await backfills.record_outcomes(session, record)
            await streams.meter_recording(session, record)
