"""The worker process: activities and workflows on their task queues, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.worker import Worker

from activities.clips import ClipActivities
from activities.executions import ExecutionActivities
from activities.hms import InboundActivities
from activities.ingest import IngestActivities
from activities.maintenance import MaintenanceActivities
from activities.recordings import RecordingActivities
from activities.records import BackfillRecordActivities, RecordActivities
from activities.selection import SelectionActivities
from activities.webhooks import WebhookActivities
from app.analyzer import analyzer
from app.broker import broker_at_work
from app.container import Doors, open_doors
from app.gemini_check import log_gemini_check
from app.schedules import ensure_schedules
from app.services.hms_events import EventDispatcher, EventProcessor, EventWriter
from app.services.streams import StreamStarter, TenantNames
from app.services.webhooks import WebhookDispatcher
from domain import task_queues
from infra.errors import ComponentMissingError
from infra.media.ffmpeg import FfmpegError, FfmpegLimits, check_ffmpeg, find_ffmpeg
from infra.settings import Settings
from infra.storage.scratch import sweep_scratch
from infra.telemetry import temporal_interceptors, temporal_runtime
from infra.temporal.client import connect, connected
from infra.temporal.executions import Executions
from workflows.backfill import BackfillWorkflow
from workflows.clip import ClipWorkflow
from workflows.delivery import DeliveryWorkflow
from workflows.maintenance import MaintenanceWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.reconcile_executions import ReconcileExecutionsWorkflow
from workflows.relay import OutboxRelayWorkflow, RelayWorkflow
from workflows.sandbox import workflow_runner
from workflows.session import SessionWorkflow
from workflows.stream import StreamWorkflow

_log = structlog.get_logger(__name__)

# What a dead worker costs: a workflow's next task waits this long for the worker that had it in
# memory, and the SDK holds heartbeats back for as long (else four fifths of their timeout, which
# a busy machine oversteps). Both must stay well below the ten seconds that a playlist holds.
_STICKY_TIMEOUT: Final = timedelta(seconds=2)
_HEARTBEAT_THROTTLE: Final = timedelta(seconds=2)

# Workflows that an activity's result wakes have this long to schedule what comes next, before the
# workflow worker goes: a task that it takes along waits for ten seconds.
_SETTLE: Final = 0.3


async def run_worker(settings: Settings) -> None:
    """Work until SIGINT or SIGTERM; then activities have the graceful timeout to hand over.

    Raises:
        NotConfiguredError: a setting is missing.
        StartFailedError: Temporal does not answer.
        ComponentMissingError: the ffmpeg to render with is not there or not able to.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopping.set)
    await asyncio.to_thread(require_ffmpeg, settings)
    async with AsyncExitStack() as stack:
        doors = await open_doors(settings, stack)
        await asyncio.to_thread(_delete_left_over, doors)
        client = await connect(
            settings,
            interceptors=temporal_interceptors(settings),
            runtime=temporal_runtime(settings),
        )
        ingest = IngestActivities(store=doors.segments, client=doors.hls, pool=doors.probes)
        stack.push_async_callback(ingest.close)
        await stack.enter_async_context(running(workers(client, settings, doors, ingest)))
        # Beside the work: a Temporal that goes away now must not keep us from stopping.
        making = asyncio.create_task(ensure_schedules(client, settings))
        stack.callback(making.cancel)
        checking = asyncio.create_task(log_gemini_check(settings, doors.gemini))
        stack.callback(checking.cancel)
        await stack.enter_async_context(broker_at_work(settings, doors, client))
        _log.info("worker_ready", queues=task_queues.ALL)
        await stopping.wait()
        _log.info("worker_stopping", seconds=settings.graceful_shutdown_timeout)


@asynccontextmanager
async def running(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """Run workers, and stop them so that live streams are without one for as short as possible.

    Analysis, rendering and deliveries stop first, together; meanwhile streams are still fetched.
    Then the fetches hand over where they are, and last the workflows stop, which by then have
    scheduled the next fetch for another worker.

    Args:
        workers: as `workers` returns them: workflows, I/O, and the others.
    """
    workflows, io, *others = workers
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        yield
        await asyncio.gather(*(worker.shutdown() for worker in others))
        await io.shutdown()
        await asyncio.sleep(_SETTLE)
        await workflows.shutdown()


def workers(
    client: Client, settings: Settings, doors: Doors, ingest: IngestActivities
) -> Sequence[Worker]:
    """Return one worker for each task queue, none of them started: workflows, I/O, the others."""
    dispatcher = WebhookDispatcher(doors.database, connected(client))
    records = RecordActivities(doors.database, dispatcher)
    selection = SelectionActivities(
        database=doors.database, profiles=doors.profiles, dispatcher=dispatcher
    )
    webhooks = WebhookActivities(
        database=doors.database,
        sender=doors.webhooks,
        secrets=doors.endpoint_secrets,
        links=doors.clip_links,
        dispatcher=dispatcher,
        endpoint_concurrency=settings.webhook_endpoint_concurrency,
    )
    maintenance = MaintenanceActivities(doors.database)
    backfills = BackfillRecordActivities(doors.database)
    recordings = RecordingActivities(store=doors.segments, client=doors.hls, pool=doors.probes)
    analysis = analyzer(settings, doors)
    names = TenantNames(doors.database)
    starter = StreamStarter(connected(client), limits=settings.ingest_limits(), names=names)
    executions = ExecutionActivities(
        database=doors.database,
        executions=Executions(connected(client)),
        starter=starter,
        segments=doors.segments,
        dispatcher=dispatcher,
    )
    inbound = InboundActivities(
        database=doors.database,
        writer=EventWriter(doors.database),
        dispatcher=EventDispatcher(connected(client), names=names),
        processor=EventProcessor(
            database=doors.database,
            starter=starter,
            creation=doors.creation,
            guard=doors.guard,
        ),
        secrets=doors.connection_secrets,
        api=doors.hms,
    )
    clips = ClipActivities(
        segments=doors.segments,
        clips=doors.clips,
        pool=doors.media,
        ffmpeg=find_ffmpeg(settings.ffmpeg_path),
        limits=FfmpegLimits(wall_seconds=settings.render_timeout),
        watermark=settings.watermark_path,
    )

    def activities(
        queue: str, concurrency: int, methods: Sequence[Callable[..., object]]
    ) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            activities=methods,
            max_concurrent_activities=concurrency,
            max_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
            graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_timeout),
        )

    return (
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[
                StreamWorkflow,
                ClipWorkflow,
                DeliveryWorkflow,
                OutboxRelayWorkflow,
                MaintenanceWorkflow,
                BackfillWorkflow,
                RelayWorkflow,
                SessionWorkflow,
                ReconcileWorkflow,
                ReconcileExecutionsWorkflow,
            ],
            workflow_runner=workflow_runner(),
            sticky_queue_schedule_to_start_timeout=_STICKY_TIMEOUT,
        ),
        activities(
            task_queues.IO,
            settings.io_concurrency,
            [
                ingest.fetch_window,
                ingest.release_media,
                selection.select_highlights,
                records.record_stream,
                records.record_clip,
                webhooks.relay_events,
                maintenance.expire_records,
                executions.reconcile_executions,
                inbound.process_session_events,
                inbound.relay_inbound,
                inbound.managed_connections,
                inbound.reconcile_connection,
                backfills.recall_stream,
                backfills.record_backfill,
                recordings.survey_recording,
                recordings.fetch_recording,
                recordings.release_recording,
            ],
        ),
        activities(task_queues.ANALYSIS, settings.analysis_concurrency, [analysis.analyze_window]),
        activities(
            task_queues.RENDER, settings.render_concurrency, [clips.render_clip, clips.delete_clip]
        ),
        activities(task_queues.DELIVER, settings.webhook_concurrency, [webhooks.deliver]),
    )


def _delete_left_over(doors: Doors) -> None:
    """Delete what renderings have left behind whose worker was killed."""
    if directories := sweep_scratch():
        _log.info("scratch_swept", directories=directories)
    if files := doors.clips.sweep():
        _log.info("partial_clips_swept", files=files)


def require_ffmpeg(settings: Settings) -> None:
    """Check the ffmpeg that clips are rendered with.

    Raises:
        ComponentMissingError: it is not there, too old, or lacks something that we use.
    """
    try:
        check_ffmpeg(find_ffmpeg(settings.ffmpeg_path))
    except FfmpegError as error:
        raise ComponentMissingError(
            f"{error}.",
            remedy="Unset HIGHLIGHTS_FFMPEG_PATH to use the one that comes with us.",
        ) from error
