"""Deletion of expired records, and reconciliation of rows with workflow executions.

A row may be left behind by an execution that was terminated, reset or deleted by an operator.
Reconciliation finds such rows and ends, restarts or removes what they stand for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

import structlog
from temporalio import activity

from activities.heartbeat import heartbeating
from activities.interfaces import ExecutionReconciler, Maintenance
from app.services.clips import MediaRetention
from app.services.export_batches import ExportBatchService
from app.services.exports import ExportService
from app.services.highlights import expire_reviews
from app.services.streams import StreamStarter, workflow_id_of
from app.services.webhooks import WebhookDispatcher
from domain.clips.models import ClipOutcome, ClipSpec, ClipStatus
from domain.exports.batches import BatchRef
from domain.exports.models import ExportStatus
from domain.ids import (
    backfill_workflow_id,
    clip_workflow_id,
    delivery_workflow_id,
    export_batch_workflow_id,
    export_workflow_id,
    stream_workflow_id,
)
from domain.media.segments import SegmentRef
from domain.streams.messages import ClipRecord, RecordingReady, StreamRecord
from domain.streams.reconciliation import (
    BatchAction,
    ClipAction,
    ExportAction,
    ReconcileExecutionsInput,
    ReconcileExecutionsReport,
    StreamAction,
    batch_action,
    clip_action,
    export_action,
    is_lost,
    lost_clip_message,
    lost_export_message,
    lost_stream_end,
    stream_action,
)
from domain.streams.status import StreamEnd, StreamProgress
from domain.tenants.retention import ExpireRecordsInput, ExpireRecordsResult, RecordKind
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.errors import RecordMissingError
from infra.db.repositories import backfills, clips, exports, streams, tenants
from infra.db.repositories.backfills import DeliveryQueueRef, UnfinishedClip, UnfinishedStream
from infra.db.repositories.exports import UnfinishedBatch, UnfinishedExport
from infra.db.tables import Stream
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import SegmentStore
from infra.temporal.client import TemporalRefusedError, TemporalUnavailableError, WorkflowExecutions


class MaintenanceActivities(Maintenance):
    """Ends overdue reviews and deletes expired records.

    In batches, each in a short transaction of its tenant, so that nothing blocks.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="expire_records")
    async def expire_records(self, request: ExpireRecordsInput) -> ExpireRecordsResult:
        tenants = await self._database.tenant_ids()
        deleted = dict.fromkeys(RecordKind, 0)
        async with heartbeating():
            for tenant_id in tenants:
                await expire_reviews(self._database, tenant_id=tenant_id, batch=request.batch)
                for kind in RecordKind:
                    deleted[kind] += await self._expire(tenant_id, kind, request)
        return ExpireRecordsResult(tenants=len(tenants), deleted=deleted)

    async def _expire(self, tenant_id: UUID, kind: RecordKind, request: ExpireRecordsInput) -> int:
        total = 0
        while True:
            async with self._database.session(tenant_id) as session:
                batch = await tenants.delete_expired(
                    session,
                    tenant_id=tenant_id,
                    kind=kind,
                    age=timedelta(seconds=request.policy.age_of(kind)),
                    limit=request.batch,
                )
            total += batch
            if batch < request.batch:
                return total


_QUEUES_PER_PASS: Final = 50


_ROUNDING: Final = 0.01


_NOTHING: Final = ReconcileExecutionsReport()


_FAILED: Final = ReconcileExecutionsReport(failed=1)


_log = structlog.get_logger(__name__)


_Unfinished = TypeVar(
    "_Unfinished", UnfinishedStream, UnfinishedClip, UnfinishedExport, UnfinishedBatch
)


class ExecutionActivities(ExecutionReconciler):
    """Repairs rows whose execution is missing or has stopped; each repair is idempotent.

    Args:
        database: holds the rows.
        executions: reads the state of executions.
        starter: starts and signals workflows.
        segments: stored media, from which a lost clip is rendered again.
        dispatcher: sends events and lost deliveries.
        retention: keeps the media of ended streams for a while.
        exports: starts lost exports again, or ends them.
        batches: starts lost batches of exports again, or cancels them.
    """

    def __init__(
        self,
        *,
        database: Database,
        executions: WorkflowExecutions,
        starter: StreamStarter,
        segments: SegmentStore,
        dispatcher: WebhookDispatcher,
        retention: MediaRetention,
        exports: ExportService,
        batches: ExportBatchService,
    ) -> None:
        self._database = database
        self._executions = executions
        self._starter = starter
        self._segments = segments
        self._dispatcher = dispatcher
        self._retention = retention
        self._exports = exports
        self._batches = batches

    @activity.defn(name="reconcile_executions")
    async def reconcile_executions(
        self, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        report = _NOTHING
        async with heartbeating():
            for tenant_id in await self._database.tenant_ids():
                repaired = partial(self._repair_pages, tenant_id=tenant_id, request=request)
                for found in (
                    await repaired(backfills.unfinished_streams, self._repair_stream),
                    await repaired(backfills.unfinished_clips, self._repair_clip),
                    await repaired(exports.unfinished_exports, self._repair_export),
                    await repaired(exports.unfinished_batches, self._repair_batch),
                    await self._deliveries(tenant_id, request),
                    await self._backfills(tenant_id, request),
                    await self._media(tenant_id, request),
                ):
                    report = report.plus(found)
        return report

    async def _repair_pages(
        self,
        find_page: Callable[..., Awaitable[list[_Unfinished]]],
        repair: Callable[
            [_Unfinished, ReconcileExecutionsInput], Awaitable[ReconcileExecutionsReport]
        ],
        *,
        tenant_id: UUID,
        request: ReconcileExecutionsInput,
    ) -> ReconcileExecutionsReport:
        """Repair all unfinished rows of a tenant, one page at a time, and send what that changed.

        Rows are read in the order of their ids.
        """
        report, after = _NOTHING, None
        while True:
            async with self._database.session(tenant_id) as session:
                page = await find_page(
                    session,
                    tenant_id=tenant_id,
                    quiet_for=request.grace,
                    after=after,
                    limit=request.batch,
                )
            for each in page:
                report = report.plus(await _attempt(repair(each, request), each.row.id))
            if len(page) < request.batch:
                break
            after = page[-1].row.id
        if report.has_events:
            await self._dispatcher.try_dispatch(tenant_id)
        return report

    async def _repair_stream(
        self, stream: UnfinishedStream, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        row = stream.row
        name = workflow_id_of(row)
        state = await self._executions.state(name)
        action = stream_action(
            state, has_begun=stream.has_begun, age=stream.age, start_within=request.start_within
        )
        if action is StreamAction.NONE:
            return _NOTHING
        if action is StreamAction.START:
            await self._starter.start(row)
            _log.warning("lost_stream_started", stream_id=str(row.id))
            return ReconcileExecutionsReport(streams_started=1)
        has_result = not is_lost(state) and not row.is_recording
        result = await self._executions.stream_result(name) if has_result else None
        end = result.end if result else lost_stream_end(state, has_begun=stream.has_begun)
        progress = result.progress if result else StreamProgress()
        await self._end_stream(row, progress=_ended(progress, row, end))
        _log.warning("lost_stream_ended", stream_id=str(row.id), execution=state.value)
        return ReconcileExecutionsReport(streams_ended=1)

    async def _end_stream(self, row: Stream, *, progress: StreamProgress) -> None:
        async with self._database.session(row.tenant_id) as session:
            await streams.record_stream(
                session,
                StreamRecord(tenant_id=row.tenant_id, stream_id=row.id, progress=progress),
            )
        await self._retention.keep(tenant_id=row.tenant_id, stream_id=row.id)

    async def _repair_clip(
        self, clip: UnfinishedClip, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        row = clip.row
        state = await self._executions.state(clip_workflow_id(tenant_id=row.tenant_id, clip=row.id))
        end = row.start + row.duration
        segments = await self._stored(row.tenant_id, row.stream_id).covering(row.start, end)
        action = clip_action(
            state,
            age=clip.age,
            has_media=_covers(segments, row.start, end),
            render_within=request.render_within,
        )
        if action is ClipAction.NONE:
            return _NOTHING
        spec = ClipSpec(
            id=row.id,
            tenant_id=row.tenant_id,
            stream_id=row.stream_id,
            highlight_id=row.highlight_id,
            start=row.start,
            end=end,
            peak=clip.peak,
            segments=tuple(segments),
        )
        if action is ClipAction.RENDER:
            await self._starter.render_clip(spec)
            _log.warning("lost_clip_restarted", clip_id=str(row.id))
            return ReconcileExecutionsReport(clips_restarted=1)
        message = lost_clip_message(state, has_media=bool(segments))
        await self._fail_clip(spec, message)
        _log.warning("lost_clip_failed", clip_id=str(row.id), execution=state.value)
        return ReconcileExecutionsReport(clips_failed=1)

    async def _fail_clip(self, spec: ClipSpec, message: str) -> None:
        async with self._database.session(spec.tenant_id) as session:
            await clips.record_clip(
                session, ClipRecord(spec=spec, status=ClipStatus.FAILED, message=message)
            )
        if spec.is_on_demand:
            return
        await self._starter.clip_finished(
            tenant_id=spec.tenant_id,
            stream_id=spec.stream_id,
            outcome=ClipOutcome(
                clip_id=spec.id,
                highlight_id=spec.highlight_id,
                status=ClipStatus.FAILED,
                message=message,
            ),
        )

    async def _repair_export(
        self, export: UnfinishedExport, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        row = export.row
        state = await self._executions.state(
            export_workflow_id(tenant_id=row.tenant_id, export=row.id)
        )
        action = export_action(state, age=export.age, render_within=request.render_within)
        if action is ExportAction.NONE:
            return _NOTHING
        if action is ExportAction.START:
            await self._exports.start(exports.spec_of(row), again=True)
            _log.warning("lost_export_started", export_id=str(row.id), execution=state.value)
            return ReconcileExecutionsReport(exports_started=1)
        is_canceled = action is ExportAction.CANCEL
        status = ExportStatus.CANCELLED if is_canceled else ExportStatus.FAILED
        await self._exports.end_lost(row, status, lost_export_message(state))
        _log.warning("lost_export_ended", export_id=str(row.id), execution=state.value)
        return ReconcileExecutionsReport(exports_ended=1)

    async def _repair_batch(
        self, batch: UnfinishedBatch, _request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        row = batch.row
        state = await self._executions.state(
            export_batch_workflow_id(tenant_id=row.tenant_id, batch=row.id)
        )
        action = batch_action(state)
        if action is BatchAction.NONE:
            return _NOTHING
        if action is BatchAction.START:
            await self._batches.start(BatchRef(tenant_id=row.tenant_id, batch_id=row.id))
            _log.warning("lost_batch_started", batch_id=str(row.id), execution=state.value)
            return ReconcileExecutionsReport(batches_started=1)
        await self._batches.cancel(row.tenant_id, row.id)
        _log.warning("lost_batch_canceled", batch_id=str(row.id), execution=state.value)
        return ReconcileExecutionsReport(batches_canceled=1)

    async def _deliveries(
        self, tenant_id: UUID, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        async with self._database.session(tenant_id) as session:
            queues = await backfills.overdue_queues(
                session,
                tenant_id=tenant_id,
                overdue_by=request.delivery_grace,
                limit=_QUEUES_PER_PASS,
            )
        report = _NOTHING
        for queue in queues:
            report = report.plus(
                await _attempt(self._repair_queue(tenant_id, queue, request), queue.endpoint_id)
            )
        if report.deliveries_resumed:
            await self._dispatcher.try_dispatch(tenant_id)
        return report

    async def _repair_queue(
        self, tenant_id: UUID, queue: DeliveryQueueRef, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        state = await self._executions.state(
            delivery_workflow_id(
                tenant_id=tenant_id,
                endpoint_id=queue.endpoint_id,
                ordering_key=queue.ordering_key,
            )
        )
        if state.is_running:
            return _NOTHING
        async with self._database.session(tenant_id) as session:
            count = await backfills.release_queue(
                session, tenant_id=tenant_id, queue=queue, overdue_by=request.delivery_grace
            )
        _log.warning("lost_deliveries_resumed", count=count, execution=state.value)
        return ReconcileExecutionsReport(deliveries_resumed=count)

    async def _backfills(
        self, tenant_id: UUID, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        async with self._database.session(tenant_id) as session:
            found = await backfills.unfilled_streams(
                session,
                tenant_id=tenant_id,
                quiet_for=request.grace,
                within=request.backfill_within,
                limit=request.batch,
            )
        report = _NOTHING
        for row, recording in found:
            ready = RecordingReady(url=recording.url, duration=recording.duration)
            report = report.plus(await _attempt(self._repair_backfill(row, ready), row.id))
        return report

    async def _repair_backfill(
        self, row: Stream, recording: RecordingReady
    ) -> ReconcileExecutionsReport:
        for name in (
            stream_workflow_id(tenant_id=row.tenant_id, stream_id=row.id),
            backfill_workflow_id(tenant_id=row.tenant_id, stream_id=row.id),
        ):
            state = await self._executions.state(name)
            if state.is_running:
                return _NOTHING
        if not is_lost(state):
            return _NOTHING
        await self._starter.backfill(row, recording)
        _log.warning("lost_backfill_started", stream_id=str(row.id), execution=state.value)
        return ReconcileExecutionsReport(backfills_started=1)

    async def _media(
        self, tenant_id: UUID, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        """Delete the media of ended streams whose time is over."""
        async with self._database.session(tenant_id) as session:
            found = await streams.with_expired_media(
                session, tenant_id=tenant_id, limit=request.batch
            )
        report = _NOTHING
        for stream_id in found:
            report = report.plus(
                await _attempt(self._delete_media(tenant_id, stream_id), stream_id)
            )
        return report

    async def _delete_media(self, tenant_id: UUID, stream_id: UUID) -> ReconcileExecutionsReport:
        await self._stored(tenant_id, stream_id).release(before=None)
        async with self._database.session(tenant_id) as session:
            await streams.note_media_deleted(session, tenant_id=tenant_id, stream_id=stream_id)
        return ReconcileExecutionsReport(media_deleted=1)

    def _stored(self, tenant_id: UUID, stream_id: UUID) -> StoredSegments:
        return StoredSegments(self._segments, tenant_id=tenant_id, stream_id=stream_id)


async def _attempt(
    repair: Awaitable[ReconcileExecutionsReport], subject: UUID
) -> ReconcileExecutionsReport:
    """Await a repair; one that fails is left to the next pass, and the others continue."""
    try:
        return await repair
    except RecordMissingError:
        return _NOTHING  # it was deleted meanwhile
    except Exception as error:
        is_away = isinstance(error, TemporalUnavailableError | DatabaseUnavailableError)
        if is_away and not isinstance(error, TemporalRefusedError):
            raise
        _log.exception("repair_failed", subject=str(subject))
        return _FAILED


def _ended(progress: StreamProgress, row: Stream, end: StreamEnd) -> StreamProgress:
    return progress.replace(
        status=end.status,
        end=end,
        position=max(progress.position, row.position),
        analyzed=max(progress.analyzed, row.analyzed),
        problems=(),
    )


def _covers(segments: Sequence[SegmentRef], start: float, end: float) -> bool:
    """Return True if the segments cover the range, except for gaps within it."""
    return bool(segments) and segments[0].start <= start and segments[-1].end >= end - _ROUNDING
