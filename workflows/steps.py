"""The activities of a stream as its workflow calls them: queue, timeouts and retries of each."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityHandle

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Analysis, Clips, Ingest, Records, Selection
    from domain import task_queues
    from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
    from domain.clips.models import ClipSpec, ClipStatus
    from domain.highlights.selection import SelectHighlightsInput, SelectHighlightsResult
    from domain.ingest.messages import FetchWindowInput, FetchWindowResult
    from domain.streams.messages import StreamTiming
    from domain.streams.records import ClipRecord, MediaRelease, StreamRecord
    from domain.streams.report import clock

# The name of `RecordMissingError` in `infra.db.errors`: a deleted row stays deleted.
RECORD_MISSING = "RecordMissingError"

# The names of what fails alike each time: a value that the database refuses, or that is no UTF-8.
PERMANENT = (
    "UnstorableValueError",
    "UnicodeEncodeError",
    "UnicodeDecodeError",
    "PydanticSerializationError",
)

# What must not be lost is retried for as long as its workflow lives: the wait is for our own
# database or store to come back, and the stream goes on being fetched meanwhile.
UNTIL_DONE = RetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    maximum_interval=timedelta(seconds=15),
    non_retryable_error_types=[RECORD_MISSING, *PERMANENT],
)
# Of a few statements or deletions: a dead worker costs no more than this. What may take longer
# sends heartbeats instead.
BRIEF = timedelta(seconds=15)
HEARTBEAT = timedelta(seconds=10)


def start_fetch(
    request: FetchWindowInput, timing: StreamTiming
) -> ActivityHandle[FetchWindowResult]:
    """Start following the playlist for one window; its retries lose less than a live playlist.

    Attempts are bounded, not the time from the first one on: an outage of ours, in which no worker
    takes the task, must not end the stream.
    """
    longest_pause = timing.heartbeat_timeout / 2
    return workflow.start_activity_method(
        Ingest.fetch_window,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=timedelta(seconds=timing.fetch_timeout),
        heartbeat_timeout=timedelta(seconds=timing.heartbeat_timeout),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=timing.retry_interval),
            maximum_interval=timedelta(seconds=longest_pause),
            maximum_attempts=max(2, int(timing.fetch_timeout / longest_pause)),
            non_retryable_error_types=list(PERMANENT),
        ),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=f"window {request.cursor.window_index} from {clock(request.cursor.position)}",
    )


async def analyze(request: AnalyzeWindowInput, timing: StreamTiming) -> AnalyzeWindowResult:
    """Analyse windows; a window that fails five times is given up, not the stream."""
    names = [window.index for window in request.windows]
    return await workflow.execute_activity_method(
        Analysis.analyze_window,
        request,
        task_queue=task_queues.ANALYSIS,
        start_to_close_timeout=timedelta(seconds=timing.analysis_timeout),
        heartbeat_timeout=timedelta(seconds=timing.analysis_heartbeat_timeout),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=timing.retry_interval), maximum_attempts=5
        ),
        summary=f"windows {names[0]}-{names[-1]}" if names else "settle what is open",
    )


async def select(request: SelectHighlightsInput) -> SelectHighlightsResult:
    """Decide and record."""
    return await workflow.execute_activity_method(
        Selection.select_highlights,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary=f"{len(request.candidates)} new at {clock(request.watermark)}",
    )


async def record_stream(record: StreamRecord) -> None:
    """Write the stream's state."""
    await workflow.execute_activity_method(
        Records.record_stream,
        record,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary=record.progress.status,
    )


async def discard_clip(spec: ClipSpec, message: str) -> None:
    """Delete a clip's files and say so in its record; the record goes first: no dead links."""
    await workflow.execute_activity_method(
        Records.record_clip,
        ClipRecord(spec=spec, status=ClipStatus.DELETED, message=message),
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary=message,
    )
    await workflow.execute_activity_method(
        Clips.delete_clip,
        spec,
        task_queue=task_queues.RENDER,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary=message,
    )


async def release_media(request: MediaRelease) -> None:
    """Delete stored segments; failing to is retried, then left to the next release."""
    before = "all" if request.before is None else f"before {clock(request.before)}"
    await workflow.execute_activity_method(
        Ingest.release_media,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=timedelta(seconds=120),
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RetryPolicy(maximum_attempts=5),
        summary=before,
    )
