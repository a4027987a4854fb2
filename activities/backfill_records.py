"""What a backfill reads and writes of a stream, through the application's own database role."""

from __future__ import annotations

from temporalio import activity

from activities.interfaces import BackfillRecords
from domain.backfill_input import BackfillRecord, StreamRef, StreamSoFar
from domain.records import StreamRecord
from infra.database import Database
from infra.repositories import backfills, streams


class BackfillRecordActivities(BackfillRecords):
    """Reads and writes by upserts, so that doing it twice is doing it once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="recall_stream")
    async def recall_stream(self, request: StreamRef) -> StreamSoFar | None:
        """Read a stream's state, its gaps not yet filled and its highlights; None: it is gone."""
        async with self._database.session(request.tenant_id) as session:
            return await backfills.recall(session, request)

    @activity.defn(name="record_backfill")
    async def record_backfill(self, record: BackfillRecord) -> None:
        """Write what came of gaps, and the stream's state."""
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
