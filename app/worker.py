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
from activities.deletions import DeletionActivities
from activities.export_batches import ExportBatchActivities
from activities.exports import ExportActivities
from activities.feed import FeedActivities, FeedLinker
from activities.follow import AnalysisPool, FollowActivities, PositionWriter
from activities.hms import InboundActivities
from activities.ingest import IngestActivities
from activities.maintenance import ExecutionActivities, MaintenanceActivities
from activities.recordings import RecordingActivities
from activities.records import BackfillRecordActivities, RecordActivities
from activities.selection import SelectionActivities
from activities.webhooks import WebhookActivities
from app.container import Container
from app.doctor import log_gemini_check
from app.health import serve_health
from app.schedules import ensure_schedules
from app.services.feed.jobs import FeedEventJobs
from app.services.jobs import AnalyzeJobs
from domain import task_queues
from infra.amqp import EventRelay, JobConsumer, stay_connected
from infra.errors import ComponentMissingError
from infra.media.exports.renderer import ExportRenderer
from infra.media.ffmpeg import FfmpegError, FfmpegLimits, check_ffmpeg, find_ffmpeg
from infra.settings import Settings
from infra.storage.scratch import sweep_scratch
from infra.telemetry.metrics import serve_metrics
from infra.telemetry.temporal import temporal_interceptors, temporal_runtime
from infra.temporal.backlog import log_backlogs
from infra.temporal.client import WorkflowExecutions, connect
from workflows.backfill import BackfillWorkflow
from workflows.clip import ClipWorkflow
from workflows.deletion import DeletionWorkflow
from workflows.delivery import DeliveryWorkflow
from workflows.export import ExportWorkflow
from workflows.export_batch import ExportBatchWorkflow
from workflows.maintenance import MaintenanceWorkflow
from workflows.reconcile import ReconcileExecutionsWorkflow, ReconcileWorkflow
from workflows.relay import OutboxRelayWorkflow, RelayWorkflow
from workflows.session import SessionWorkflow
from workflows.stream import StreamWorkflow

WORKFLOWS: Final[Sequence[type]] = (
    StreamWorkflow,
    ClipWorkflow,
    ExportWorkflow,
    ExportBatchWorkflow,
    DeletionWorkflow,
    DeliveryWorkflow,
    OutboxRelayWorkflow,
    MaintenanceWorkflow,
    BackfillWorkflow,
    RelayWorkflow,
    SessionWorkflow,
    ReconcileWorkflow,
    ReconcileExecutionsWorkflow,
)


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


_EXPORT_CPU_SECONDS: Final = 1_500
"""Of one encoder of an export, which may have 50 outputs of ten minutes; clips have their own."""


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
        stack.enter_context(serve_metrics(settings.metrics_address))
        await stack.enter_async_context(running(served))
        if settings.worker_health_address is not None:
            await stack.enter_async_context(
                serve_health(
                    settings.worker_health_address,
                    lambda: all(each.is_running for each in served),
                )
            )
        # Beside the work: a Temporal that goes away now must not keep us from stopping.
        making = asyncio.create_task(ensure_schedules(client, settings))
        stack.callback(making.cancel)
        checking = asyncio.create_task(log_gemini_check(settings, container.gemini))
        stack.callback(checking.cancel)
        if settings.backlog_interval is not None:
            watching = asyncio.create_task(
                log_backlogs(client, settings.worker_queues, interval=settings.backlog_interval)
            )
            stack.callback(watching.cancel)
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
        workers: of any task queues, not started.
    """

    async def stop(*queues: str, others: bool = False) -> None:
        await asyncio.gather(
            *(each.shutdown() for each in workers if (each.task_queue in queues) is not others)
        )

    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        yield
        await stop(task_queues.ORCHESTRATION, task_queues.IO, others=True)
        await stop(task_queues.IO)
        await asyncio.sleep(_SETTLE)
        await stop(task_queues.ORCHESTRATION)


def ingest_activities(container: Container) -> IngestActivities:
    """Return the activities that fetch live streams; the caller closes them."""
    return IngestActivities(
        store=container.segments,
        client=container.hls,
        pool=container.probes,
        worker=container.worker_name,
        retention=container.services.retention,
    )


def workers(container: Container, client: Client, ingest: IngestActivities) -> Sequence[Worker]:
    """Return one worker for each task queue that the settings name, none of them started.

    If the segment store is remote, a worker that follows streams also serves a queue of this worker
    alone, for clips whose media it has in its cache. It has separate slots: a clip on it is never
    behind one that any worker could render.
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
        store=container.segments,
        client=container.hls,
        pool=container.probes,
        ffmpeg=find_ffmpeg(settings.ffmpeg_path),
        retention=container.services.retention,
    )
    analysis = container.analyzer
    follow = FollowActivities(
        followers=ingest.followers,
        analyses=AnalysisPool(analysis),
        store=container.segments,
        guard=container.url_guard,
        positions=PositionWriter(database),
        linker=FeedLinker(services.feed),
    )
    executions = ExecutionActivities(
        database=database,
        executions=WorkflowExecutions(services.temporal.client),
        starter=services.starter,
        segments=container.segments,
        dispatcher=dispatcher,
        retention=services.retention,
        exports=services.exports,
        batches=services.export_batches,
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
        pool=container.rendering,
        ffmpeg=find_ffmpeg(settings.ffmpeg_path),
        limits=FfmpegLimits(wall_seconds=settings.render_timeout),
        watermark=settings.watermark_path,
    )

    exports = ExportActivities(
        database=database,
        segments=container.segments,
        clips=container.clips,
        renderer=ExportRenderer(
            pool=container.rendering,
            binary=find_ffmpeg(settings.ffmpeg_path),
            limits=FfmpegLimits(cpu_seconds=_EXPORT_CPU_SECONDS, wall_seconds=_EXPORT_CPU_SECONDS),
        ),
        dispatcher=dispatcher,
    )

    batches = ExportBatchActivities(database, dispatcher)
    deleting = DeletionActivities(services.deletions)
    feed = FeedActivities(services.feed)

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
            queue,
            settings.render_concurrency,
            [clips.render_clip, clips.delete_clip, exports.render_export, exports.delete_export],
        )

    def workflow_worker() -> Worker:
        return Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=WORKFLOWS,
            workflow_runner=workflow_runner(),
            sticky_queue_schedule_to_start_timeout=_STICKY_TIMEOUT,
        )

    def io_worker() -> Worker:
        return activities(
            task_queues.IO,
            settings.io_concurrency,
            [
                follow.follow_stream,
                ingest.fetch_window,
                ingest.release_media,
                selection.select_highlights,
                feed.link_feed_events,
                records.record_stream,
                records.record_clip,
                exports.record_export,
                batches.start_export_batch,
                batches.next_exports,
                batches.finish_export_batch,
                deleting.delete_stream,
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
        )

    serving: dict[str, Callable[[], Worker]] = {
        task_queues.ORCHESTRATION: workflow_worker,
        task_queues.IO: io_worker,
        task_queues.ANALYSIS: lambda: activities(
            task_queues.ANALYSIS, settings.analysis_concurrency, [analysis.analyze_window]
        ),
        task_queues.RENDER: lambda: render_worker(task_queues.RENDER),
        task_queues.DELIVER: lambda: activities(
            task_queues.DELIVER, settings.webhook_concurrency, [webhooks.deliver]
        ),
    }
    served = [make() for queue, make in serving.items() if queue in settings.worker_queues]
    name = container.worker_name
    if name is not None and task_queues.IO in settings.worker_queues:
        served.append(render_worker(task_queues.of_worker(task_queues.RENDER, name)))
    return served


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
    fed = FeedEventJobs(
        database=services.database,
        feed=services.feed,
        limiter=services.limiter,
        plans=services.plans,
    )
    jobs = JobConsumer(handler, fed, prefetch=settings.amqp_prefetch)
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
