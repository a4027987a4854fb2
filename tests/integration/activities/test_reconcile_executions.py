"""Rows without a running execution are repaired: real PostgreSQL and Temporal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.maintenance import ExecutionActivities
from app.services.clips import MediaRetention
from app.services.consistency.stream_audit import AuditOptions, ConsistencyAudit
from app.services.export_batches import ExportBatchService
from app.services.exports import ExportService
from app.services.streams import StreamStarter, close_orphan
from app.services.webhooks import WebhookDispatcher
from domain import task_queues
from domain.clips.models import ClipSpec, ClipStatus
from domain.clips.tracker import LONGEST_LEAD_IN
from domain.exports.batches import BatchRef
from domain.exports.models import ExportStatus
from domain.ids import (
    backfill_workflow_id,
    batch_export_id,
    clip_workflow_id,
    delivery_workflow_id,
    export_batch_workflow_id,
    export_workflow_id,
    stream_workflow_id,
)
from domain.media.segments import Gap, GapReason
from domain.streams.messages import ClipRecord, MediaRelease, StreamRecord
from domain.streams.reconciliation import (
    ExecutionState,
    ReconcileExecutionsInput,
    ReconcileExecutionsReport,
)
from domain.streams.status import EndReason, StreamProgress, StreamStatus
from domain.tenants.usage import PlanName
from domain.webhooks.events import EventType
from infra.db.engine import Database
from infra.db.repositories import clips, deliveries, events, exports, streams, tenants
from infra.db.tables import BeamRow, Clip, Connection, EventRow, Export, Stream
from infra.settings import Settings
from infra.storage.clips import LocalClipStore
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import LocalSegmentStore
from infra.temporal.client import TemporalUnavailableError, WorkflowExecutions, connected
from infra.temporal.histories import WorkflowHistories
from tests.factories.rows import (
    new_clip,
    new_endpoint,
    new_export,
    new_export_batch,
    new_highlight,
    new_stream,
    usage_event,
)
from tests.factories.segments import MEDIA, stored_segment
from tests.fakes.workflows import FakeStreamWorkflow

NOW = ReconcileExecutionsInput(grace=0.0, delivery_grace=0.0)


class Stage:
    """A tenant's rows, their executions and what reconciles both."""

    def __init__(
        self,
        client: Client,
        database: Database,
        tenant_id: UUID,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.client = client
        self.database = database
        self.tenant_id = tenant_id
        self.root = root
        self.segments = LocalSegmentStore(root)
        self.starter = StreamStarter(connected(client), limits=Settings().ingest_limits())
        self.executions = WorkflowExecutions(connected(client))
        self.retention = MediaRetention(database, seconds=3600.0, recording_seconds=3600.0)
        self.files = LocalClipStore(root / "clips")
        self.exports = ExportService(
            database, connected(client), files=self.files, default_plan=PlanName.PRO
        )
        self.batches = ExportBatchService(
            database, connected(client), exports=self.exports, default_plan=PlanName.PRO
        )

        async def only_this() -> list[UUID]:
            return [tenant_id]

        monkeypatch.setattr(database, "tenant_ids", only_this)

    async def reconcile(self, request: ReconcileExecutionsInput = NOW) -> ReconcileExecutionsReport:
        activities = ExecutionActivities(
            database=self.database,
            executions=self.executions,
            starter=self.starter,
            segments=self.segments,
            dispatcher=WebhookDispatcher(self.database, connected(self.client)),
            retention=self.retention,
            exports=self.exports,
            batches=self.batches,
        )
        return await ActivityEnvironment().run(activities.reconcile_executions, request)

    async def stream(
        self, *, status: StreamStatus = StreamStatus.LIVE, started: bool = True
    ) -> UUID:
        stream_id = await new_stream(self.database, self.tenant_id)
        if started:
            await self.starter.start(await self.row(stream_id))
        if status is not StreamStatus.STARTING:
            progress = StreamProgress(status=status, segments=3, windows=2, position=6.0)
            await self.record(stream_id, progress)
        return stream_id

    async def record(self, stream_id: UUID, progress: StreamProgress, *gaps: Gap) -> None:
        async with self.database.session(self.tenant_id) as session:
            await streams.record_stream(
                session,
                StreamRecord(
                    tenant_id=self.tenant_id, stream_id=stream_id, progress=progress, gaps=gaps
                ),
            )

    async def row(self, stream_id: UUID) -> Stream:
        async with self.database.session(self.tenant_id) as session:
            row = await streams.get(session, tenant_id=self.tenant_id, stream_id=stream_id)
        assert row is not None
        return row

    async def clip(self, clip_id: UUID) -> Clip:
        async with self.database.session(self.tenant_id) as session:
            row = await clips.get(session, tenant_id=self.tenant_id, clip_id=clip_id)
        assert row is not None
        return row

    async def export(self, export_id: UUID) -> Export:
        async with self.database.session(self.tenant_id) as session:
            row = await exports.get(session, tenant_id=self.tenant_id, export_id=export_id)
        assert row is not None
        return row

    async def batch(self) -> BatchRef:
        batch_id = await new_export_batch(self.database, self.tenant_id, await self.stream())
        return BatchRef(tenant_id=self.tenant_id, batch_id=batch_id)

    def name(self, stream_id: UUID) -> str:
        return stream_workflow_id(tenant_id=self.tenant_id, stream_id=stream_id)

    async def terminate(self, workflow_id: str) -> None:
        await self.client.get_workflow_handle(workflow_id).terminate("by an operator")

    async def store(self, stream_id: UUID, *starts: float) -> None:
        """Store a segment of 2 s at each of these seconds of media time."""
        stored = StoredSegments(self.segments, tenant_id=self.tenant_id, stream_id=stream_id)
        for start in starts:
            segment = stored_segment(
                int(start / 2), tenant_id=self.tenant_id, stream_id=stream_id, start=start
            )
            await self.segments.put(segment.ref.key, MEDIA)
            await stored.note(segment)
        await stored.flush()


@pytest.fixture
async def stage(
    temporal_client: Client,
    database: Database,
    tenant: UUID,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stage]:
    async with Worker(
        temporal_client, task_queue=task_queues.ORCHESTRATION, workflows=[FakeStreamWorkflow]
    ):
        yield Stage(temporal_client, database, tenant, tmp_path, monkeypatch)


async def test_a_terminated_stream_ends_with_a_reason_and_one_event_and_frees_its_place(
    stage: Stage,
) -> None:
    stream_id = await stage.stream()
    await stage.store(stream_id, 0.0, 2.0)
    async with stage.database.session(stage.tenant_id) as session:
        await tenants.set_plan(session, tenant_id=stage.tenant_id, plan=PlanName.FREE)
    await stage.terminate(stage.name(stream_id))
    first, second = await stage.reconcile(), await stage.reconcile()
    row = await stage.row(stream_id)
    assert (first.streams_ended, second) == (1, ReconcileExecutionsReport())
    assert (row.status, row.end_reason) == (StreamStatus.FAILED, EndReason.INTERNAL)
    assert row.end_message is not None
    assert "operator" in row.end_message
    assert row.ended_at is not None
    assert await _count(stage, EventType.STREAM_FAILED) == 1
    assert len(await stage.segments.list(f"{stage.tenant_id}/{stream_id}/")) == 3  # kept for clips
    async with stage.database.session(stage.tenant_id) as session:
        await streams.reserve_slot(session, tenant_id=stage.tenant_id, default_plan=PlanName.FREE)


async def test_a_stream_whose_caller_died_before_the_start_is_started_once(stage: Stage) -> None:
    stream_id = await stage.stream(status=StreamStatus.STARTING, started=False)
    first, second = await stage.reconcile(), await stage.reconcile()
    assert (first.streams_started, second) == (1, ReconcileExecutionsReport())
    assert await stage.executions.state(stage.name(stream_id)) is ExecutionState.RUNNING
    assert (await stage.row(stream_id)).status == StreamStatus.STARTING


async def test_a_start_that_may_be_in_flight_is_left_alone(stage: Stage) -> None:
    stream_id = await stage.stream(status=StreamStatus.STARTING, started=False)
    assert await stage.reconcile(ReconcileExecutionsInput()) == ReconcileExecutionsReport()
    assert await stage.executions.state(stage.name(stream_id)) is ExecutionState.MISSING


async def test_a_stream_that_was_not_started_in_time_ends(stage: Stage) -> None:
    stream_id = await stage.stream(status=StreamStatus.STARTING, started=False)
    late = NOW.model_copy(update={"start_within": 1e-6})
    assert (await stage.reconcile(late)).streams_ended == 1
    assert (await stage.row(stream_id)).status == StreamStatus.FAILED


async def test_a_stream_whose_temporal_was_reset_ends(stage: Stage) -> None:
    stream_id = await stage.stream(started=False)
    assert (await stage.reconcile()).streams_ended == 1
    row = await stage.row(stream_id)
    assert row.status == StreamStatus.FAILED
    assert "lost" in (row.end_message or "")


async def test_a_canceled_stream_without_its_record_is_cancelled(stage: Stage) -> None:
    stream_id = await stage.stream()
    handle = stage.client.get_workflow_handle(stage.name(stream_id))
    await handle.cancel()
    with pytest.raises(Exception, match="failed"):
        await handle.result()
    assert (await stage.reconcile()).streams_ended == 1
    assert (await stage.row(stream_id)).status == StreamStatus.CANCELLED


async def test_a_completed_stream_without_its_record_ends_as_its_workflow_says(
    stage: Stage,
) -> None:
    stream_id = await stage.stream()
    await stage.starter.stop(await stage.row(stream_id), message="that was all")
    await stage.client.get_workflow_handle(stage.name(stream_id)).result()
    assert (await stage.reconcile()).streams_ended == 1
    row = await stage.row(stream_id)
    assert (row.status, row.end_reason) == (StreamStatus.COMPLETED, EndReason.STOPPED)
    assert (row.end_message, row.segments) == ("that was all", 21)


async def test_streams_that_run_and_streams_that_are_over_stay_as_they_are(stage: Stage) -> None:
    running = await stage.stream()
    over = await stage.stream()
    await close_orphan(stage.database, await stage.row(over))
    await stage.terminate(stage.name(over))
    assert await stage.reconcile() == ReconcileExecutionsReport()
    assert (await stage.row(running)).status == StreamStatus.LIVE


async def test_more_streams_than_a_page_are_all_compared(stage: Stage) -> None:
    for _ in range(3):
        await stage.stream(started=False)
    small = NOW.model_copy(update={"batch": 1})
    assert (await stage.reconcile(small)).streams_ended == 3


async def test_a_temporal_that_is_away_ends_no_stream(stage: Stage) -> None:
    stream_id = await stage.stream()

    async def away() -> Client:
        raise TemporalUnavailableError("away")

    stage.executions = WorkflowExecutions(away)
    with pytest.raises(TemporalUnavailableError):
        await stage.reconcile()
    assert (await stage.row(stream_id)).status == StreamStatus.LIVE


async def test_an_answer_that_is_not_found_missing_is_no_lost_execution() -> None:
    class Refusing:
        def get_workflow_handle(self, _name: str) -> Refusing:
            return self

        async def describe(self, **_options: object) -> None:
            raise RPCError("later", RPCStatusCode.RESOURCE_EXHAUSTED, b"")

    async def client() -> Client:
        return Refusing()  # type: ignore[return-value]

    with pytest.raises(TemporalUnavailableError):
        await WorkflowExecutions(client).state("stream/x/y")


async def test_a_lost_clip_is_rendered_again_from_the_stored_media(stage: Stage) -> None:
    stream_id = await stage.stream()
    await stage.store(stream_id, *(54.0 + 2.0 * number for number in range(7)))
    clip_id = await _rendering_clip(stage, stream_id)
    assert (await stage.reconcile()).clips_restarted == 1
    name = clip_workflow_id(tenant_id=stage.tenant_id, clip=clip_id)
    assert await stage.executions.state(name) is ExecutionState.RUNNING
    assert await stage.reconcile() == ReconcileExecutionsReport()
    assert (await stage.clip(clip_id)).status == ClipStatus.RENDERING


async def test_a_lost_clip_without_its_media_fails_with_a_reason(stage: Stage) -> None:
    stream_id = await stage.stream()
    clip_id = await _rendering_clip(stage, stream_id)
    assert (await stage.reconcile()).clips_failed == 1
    row = await stage.clip(clip_id)
    assert row.status == ClipStatus.FAILED
    assert "no longer stored" in row.message
    assert await _count(stage, EventType.CLIP_FAILED) == 1


async def test_a_lost_clip_on_demand_is_rendered_again(stage: Stage) -> None:
    stream_id = await stage.stream()
    await stage.store(stream_id, *(54.0 + 2.0 * number for number in range(7)))
    clip_id = await _requested_clip(stage, stream_id)
    assert (await stage.reconcile()).clips_restarted == 1
    name = clip_workflow_id(tenant_id=stage.tenant_id, clip=clip_id)
    assert await stage.executions.state(name) is ExecutionState.RUNNING


async def test_a_lost_clip_on_demand_without_its_media_fails_with_a_reason(stage: Stage) -> None:
    stream_id = await stage.stream()
    clip_id = await _requested_clip(stage, stream_id)
    assert (await stage.reconcile()).clips_failed == 1
    assert "no longer stored" in (await stage.clip(clip_id)).message
    assert await _count(stage, EventType.CLIP_FAILED) == 1


@pytest.mark.parametrize("is_terminated", [True, False], ids=["terminated", "missing"])
async def test_a_lost_export_is_rendered_again(stage: Stage, *, is_terminated: bool) -> None:
    export_id = await new_export(
        stage.database, stage.tenant_id, await stage.stream(), status=ExportStatus.RUNNING
    )
    name = export_workflow_id(tenant_id=stage.tenant_id, export=export_id)
    if is_terminated:
        await stage.exports.start(exports.spec_of(await stage.export(export_id)))
        await stage.terminate(name)
    first, second = await stage.reconcile(), await stage.reconcile()
    assert (first.exports_started, second) == (1, ReconcileExecutionsReport())
    assert await stage.executions.state(name) is ExecutionState.RUNNING
    assert (await stage.export(export_id)).status == ExportStatus.RUNNING


async def test_an_old_lost_export_fails_with_a_reason_and_one_event_and_leaves_no_file(
    stage: Stage,
) -> None:
    export_id = await new_export(
        stage.database, stage.tenant_id, await stage.stream(), status=ExportStatus.RUNNING
    )
    spec = exports.spec_of(await stage.export(export_id))
    stage.root.joinpath("half").write_bytes(b"half")
    await stage.files.put(spec.key(1), stage.root / "half")
    late = NOW.model_copy(update={"render_within": 1e-6})
    first, second = await stage.reconcile(late), await stage.reconcile(late)
    assert (first.exports_ended, second) == (1, ReconcileExecutionsReport())
    row = await stage.export(export_id)
    assert row.status == ExportStatus.FAILED
    assert row.message == "Rendering was interrupted. Create the export again."
    assert await _count(stage, EventType.EXPORT_FAILED) == 1
    with pytest.raises(FileNotFoundError):
        await stage.files.fetch(spec.key(1), stage.root)


async def test_exports_that_wait_in_a_batch_are_left_to_its_workflow(stage: Stage) -> None:
    batch = await stage.batch()
    await stage.batches.start(batch)
    late = NOW.model_copy(update={"render_within": 1e-6})
    for request in (NOW, late):
        assert await stage.reconcile(request) == ReconcileExecutionsReport()
    await stage.batches.cancel(batch.tenant_id, batch.batch_id)
    for request in (NOW, late):
        assert await stage.reconcile(request) == ReconcileExecutionsReport()
    row = await stage.export(batch_export_id(batch=batch.batch_id, number=1))
    assert row.status == ExportStatus.QUEUED


async def test_the_audit_expects_no_workflow_of_an_export_that_waits_in_a_batch(
    stage: Stage,
) -> None:
    await stage.batches.start(await stage.batch())
    audit = ConsistencyAudit(
        stage.database,
        stage.executions,
        WorkflowHistories(connected(stage.client)),
        segments=stage.segments,
        files=stage.files,
        retention=Settings().retention_policy(),
        options=AuditOptions(grace=0.0, pause=0.0),
    )
    subjects = {each.subject async for each in audit.tenant(stage.tenant_id)}
    assert {each for each in subjects if each.startswith(("batch ", "export "))} == set()
    assert audit.tally.counts["exports"] == 1


async def test_an_export_that_a_finished_batch_left_is_rendered(stage: Stage) -> None:
    batch = await stage.batch()
    async with stage.database.session(stage.tenant_id) as session:
        await exports.finish_batch(session, batch)
    assert (await stage.reconcile()).exports_started == 1


@pytest.mark.parametrize("is_terminated", [True, False], ids=["terminated", "missing"])
async def test_a_lost_batch_of_exports_is_started_again(
    stage: Stage, *, is_terminated: bool
) -> None:
    batch = await stage.batch()
    name = export_batch_workflow_id(tenant_id=batch.tenant_id, batch=batch.batch_id)
    if is_terminated:
        await stage.batches.start(batch)
        await stage.terminate(name)
    first, second = await stage.reconcile(), await stage.reconcile()
    assert (first, second) == (
        ReconcileExecutionsReport(batches_started=1),
        ReconcileExecutionsReport(),
    )
    assert await stage.executions.state(name) is ExecutionState.RUNNING


async def test_a_batch_whose_workflow_was_canceled_can_be_resumed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await stage.batch()
    name = export_batch_workflow_id(tenant_id=batch.tenant_id, batch=batch.batch_id)
    state = stage.executions.state

    async def canceled(workflow_id: str) -> ExecutionState:
        return ExecutionState.CANCELED if workflow_id == name else await state(workflow_id)

    monkeypatch.setattr(stage.executions, "state", canceled)
    first, second = await stage.reconcile(), await stage.reconcile()
    assert (first.batches_canceled, second) == (1, ReconcileExecutionsReport())
    resumed = await stage.batches.resume(batch.tenant_id, batch.batch_id)
    assert resumed.status == ExportStatus.QUEUED


async def test_the_media_of_an_ended_stream_is_deleted_when_its_time_is_over(stage: Stage) -> None:
    stream_id = await stage.stream()
    await stage.store(stream_id, 0.0, 2.0)
    everything = MediaRelease(tenant_id=stage.tenant_id, stream_id=stream_id)
    assert await stage.retention.limited(everything) is None
    assert (await stage.reconcile()).media_deleted == 0
    assert (
        await MediaRetention(stage.database, seconds=0.0, recording_seconds=0.0).limited(everything)
        is None
    )
    assert (await stage.reconcile()).media_deleted == 1
    assert await stage.segments.list(f"{stage.tenant_id}/{stream_id}/") == []
    assert (await stage.reconcile()).media_deleted == 0


async def test_media_that_a_clip_is_rendered_from_is_kept_until_then(stage: Stage) -> None:
    stream_id = await stage.stream()
    await stage.store(stream_id, *(54.0 + 2.0 * number for number in range(7)))
    clip_id = await _requested_clip(stage, stream_id)
    await stage.reconcile()
    everything = MediaRelease(tenant_id=stage.tenant_id, stream_id=stream_id)
    await MediaRetention(stage.database, seconds=0.0, recording_seconds=0.0).limited(everything)
    assert (await stage.reconcile()).media_deleted == 0
    row = await stage.clip(clip_id)
    async with stage.database.session(stage.tenant_id) as session:
        record = ClipRecord(spec=_spec(stage, stream_id, row.id), status=ClipStatus.FAILED)
        await clips.record_clip(session, record)
    assert (await stage.reconcile()).media_deleted == 1


async def test_a_live_stream_keeps_the_media_of_a_clip_on_demand(stage: Stage) -> None:
    stream_id = await stage.stream()
    release = MediaRelease(tenant_id=stage.tenant_id, stream_id=stream_id, before=300.0, after=9.0)
    assert await stage.retention.limited(release) == release
    await _requested_clip(stage, stream_id)
    limited = await stage.retention.limited(release)
    assert limited is not None
    assert (limited.before, limited.after) == (55.0 - LONGEST_LEAD_IN, 9.0)


async def test_nothing_is_kept_of_a_deleted_stream(stage: Stage) -> None:
    everything = MediaRelease(tenant_id=stage.tenant_id, stream_id=uuid4())
    assert await stage.retention.limited(everything) == everything


async def test_deliveries_of_a_terminated_workflow_are_handed_over_again(stage: Stage) -> None:
    endpoint = await new_endpoint(stage.database, stage.tenant_id)
    told = usage_event(stage.tenant_id)
    async with stage.database.session(stage.tenant_id) as session:
        await events.append(session, told)
    await WebhookDispatcher(stage.database, connected(stage.client)).dispatch(stage.tenant_id)
    name = delivery_workflow_id(
        tenant_id=stage.tenant_id, endpoint_id=endpoint, ordering_key=told.ordering_key
    )
    assert await stage.reconcile() == ReconcileExecutionsReport()
    await stage.terminate(name)
    assert (await stage.reconcile()).deliveries_resumed == 1
    assert await stage.executions.state(name) is ExecutionState.RUNNING
    async with stage.database.session(stage.tenant_id) as session:
        assert await deliveries.unqueued(session, tenant_id=stage.tenant_id) == []


async def test_a_terminated_backfill_is_started_again(stage: Stage) -> None:
    stream_id = await stage.stream()
    gap = Gap(
        start=2.0, duration=2.0, first_sequence=1, last_sequence=1, reason=GapReason.NOT_FOUND
    )
    await stage.record(stream_id, StreamProgress(missed=1), gap)
    await stage.terminate(stage.name(stream_id))
    await stage.reconcile()
    await _recording(stage, stream_id)
    name = backfill_workflow_id(tenant_id=stage.tenant_id, stream_id=stream_id)
    assert (await stage.reconcile()).backfills_started == 1
    assert await stage.executions.state(name) is ExecutionState.RUNNING
    assert (await stage.reconcile()).backfills_started == 0
    await stage.terminate(name)
    assert (await stage.reconcile()).backfills_started == 1


async def _rendering_clip(stage: Stage, stream_id: UUID) -> UUID:
    highlight = await new_highlight(stage.database, stage.tenant_id, stream_id)
    return await new_clip(
        stage.database, stage.tenant_id, stream_id, highlight, status=ClipStatus.RENDERING
    )


async def _recording(stage: Stage, stream_id: UUID) -> None:
    connection = uuid4()
    async with stage.database.session(stage.tenant_id) as session:
        session.add(
            Connection(
                tenant_id=stage.tenant_id,
                id=connection,
                name="room",
                checks={},
                header_hash=b"h",
                signing_secret=b"s",
            )
        )
        await session.flush()
        session.add(
            BeamRow(
                tenant_id=stage.tenant_id,
                connection_id=connection,
                key="beam",
                stream_id=stream_id,
                recording={"url": "https://cdn.example/vod.m3u8"},
            )
        )


async def _count(stage: Stage, kind: EventType) -> int:
    query = select(func.count()).where(
        EventRow.tenant_id == stage.tenant_id, EventRow.type == kind.value
    )
    async with stage.database.session(stage.tenant_id) as session:
        return await session.scalar(query) or 0


def _spec(stage: Stage, stream_id: UUID, clip_id: UUID) -> ClipSpec:
    return ClipSpec(
        id=clip_id,
        tenant_id=stage.tenant_id,
        stream_id=stream_id,
        highlight_id=None,
        start=55.0,
        end=65.0,
        peak=60.0,
        segments=(),
    )


async def _requested_clip(stage: Stage, stream_id: UUID) -> UUID:
    spec = _spec(stage, stream_id, uuid4())
    async with stage.database.session(stage.tenant_id) as session:
        await clips.create_requested(session, spec, title="")
    return spec.id
