"""The worker process: workflows and activities of all task queues, schedules and the broker."""

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
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.clips import ClipActivities
from activities.follow import AnalysisPool, FollowActivities
from activities.hms import InboundActivities
from activities.ingest import IngestActivities
from activities.maintenance import ExecutionActivities, MaintenanceActivities
from activities.recordings import RecordingActivities
from activities.records import BackfillRecordActivities, RecordActivities
from activities.selection import SelectionActivities
from activities.webhooks import WebhookActivities
from app.container import Container
from app.doctor import log_gemini_check
from app.schedules import ensure_schedules
from app.services.jobs import AnalyzeJobs
from domain import task_queues
from infra.amqp import EventRelay, JobConsumer, stay_connected
from infra.errors import ComponentMissingError
from infra.media.ffmpeg import FfmpegError, FfmpegLimits, check_ffmpeg, find_ffmpeg
from infra.settings import Settings
from infra.storage.scratch import sweep_scratch
from infra.telemetry import temporal_interceptors, temporal_runtime
from infra.temporal.client import WorkflowExecutions, connect
from workflows.backfill import BackfillWorkflow
from workflows.clip import ClipWorkflow
from workflows.delivery import DeliveryWorkflow
from workflows.maintenance import MaintenanceWorkflow
from workflows.reconcile import ReconcileExecutionsWorkflow, ReconcileWorkflow
from workflows.relay import OutboxRelayWorkflow, RelayWorkflow
from workflows.session import SessionWorkflow
from workflows.stream import StreamWorkflow


def workflow_runner() -> SandboxedWorkflowRunner:
    """Return the sandboxed runner of all workers and replayers.

    Pydantic, the domain and the activities' interfaces pass through: they are pure, and reloading
    them for every workflow would cost most of a worker's CPU.
    """
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            "activities", "annotated_types", "domain", "pydantic", "pydantic_core", "rapidfuzz"
        )
    )


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
    client = await connect(
        settings,
        interceptors=temporal_interceptors(settings),
        runtime=temporal_runtime(settings),
    )
    async with AsyncExitStack() as stack:
        container = await stack.enter_async_context(Container(settings, client=client))
        await asyncio.to_thread(_delete_leftovers, container)
        ingest = ingest_activities(container)
        stack.push_async_callback(ingest.close)
        served = workers(container, client, ingest)
        await stack.enter_async_context(running(served))
        # Beside the work: a Temporal that goes away now must not keep us from stopping.
        making = asyncio.create_task(ensure_schedules(client, settings))
        stack.callback(making.cancel)
        checking = asyncio.create_task(log_gemini_check(settings, container.gemini))
        stack.callback(checking.cancel)
        await stack.enter_async_context(broker_tasks(container))
        _log.info("worker_ready", queues=[each.task_queue for each in served])
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


def ingest_activities(container: Container) -> IngestActivities:
    """Return the activities that fetch live streams; the caller closes them."""
    return IngestActivities(
        store=container.segments,
        client=container.hls,
        pool=container.probes,
        worker=container.worker_name,
    )


def workers(container: Container, client: Client, ingest: IngestActivities) -> Sequence[Worker]:
    """Return one worker for each task queue, none of them started: workflows, I/O, the others.

    If the segment store is remote, the others include a queue of this worker alone, for clips whose
    media it has in its cache. It has separate slots: a clip on it is never behind one that any
    worker could render.
    """
    settings, services = container.settings, container.services
    database, dispatcher = services.database, services.dispatcher
    records = RecordActivities(database, dispatcher)
    selection = SelectionActivities(
        database=database, profiles=container.profiles, dispatcher=dispatcher
    )
    webhooks = WebhookActivities(
        database=database,
        sender=container.webhooks,
        secrets=services.endpoint_secrets,
        links=services.links,
        dispatcher=dispatcher,
        endpoint_concurrency=settings.webhook_endpoint_concurrency,
    )
    maintenance = MaintenanceActivities(database)
    backfills = BackfillRecordActivities(database)
    recordings = RecordingActivities(
        store=container.segments, client=container.hls, pool=container.probes
    )
    analysis = container.analyzer
    follow = FollowActivities(
        followers=ingest.followers,
        analyses=AnalysisPool(analysis),
        store=container.segments,
        guard=container.url_guard,
    )
    executions = ExecutionActivities(
        database=database,
        executions=WorkflowExecutions(services.temporal.client),
        starter=services.starter,
        segments=container.segments,
        dispatcher=dispatcher,
    )
    inbound = InboundActivities(
        database=database,
        writer=services.event_writer,
        dispatcher=services.event_dispatcher,
        processor=services.event_processor,
        secrets=services.connection_secrets,
        api=container.hms,
    )
    clips = ClipActivities(
        segments=container.segments,
        clips=container.clips,
        pool=container.media,
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

    def render_worker(queue: str) -> Worker:
        return activities(
            queue, settings.render_concurrency, [clips.render_clip, clips.delete_clip]
        )

    name = container.worker_name
    own = [render_worker(task_queues.of_worker(task_queues.RENDER, name))] if name else []
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
                follow.follow_stream,
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
        render_worker(task_queues.RENDER),
        activities(task_queues.DELIVER, settings.webhook_concurrency, [webhooks.deliver]),
        *own,
    )


@asynccontextmanager
async def broker_tasks(container: Container) -> AsyncIterator[None]:
    """Publish events to the message broker and take jobs from it; without AMQP_URL do nothing.

    An unreachable broker does not affect the worker.
    """
    settings, services = container.settings, container.services
    if settings.amqp_url is None:
        yield
        return
    url = settings.amqp_url.get_secret_value()
    relay = EventRelay(
        services.database,
        links=services.links,
        poll_interval=settings.amqp_poll_interval,
        publish_timeout=settings.amqp_publish_timeout,
    )
    handler = AnalyzeJobs(
        database=services.database,
        creation=services.creation,
        starter=services.starter,
        guard=services.url_guard,
    )
    jobs = JobConsumer(handler, prefetch=settings.amqp_prefetch)
    tasks = [
        asyncio.create_task(stay_connected(url, relay.run, name="events")),
        asyncio.create_task(stay_connected(url, jobs.run, name="jobs")),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _delete_leftovers(container: Container) -> None:
    """Delete the partial files of renderings whose worker was killed."""
    if directories := sweep_scratch():
        _log.info("scratch_swept", directories=directories)
    if files := container.clips.sweep():
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
