"""The activities of a backfill as its workflow calls them: queue, timeouts and retries of each."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import BackfillRecords, Recordings
    from domain import task_queues
    from domain.streams.backfill.messages import (
        BackfillRecord,
        BackfillTiming,
        FetchRecordingInput,
        FetchRecordingResult,
        RecordingRelease,
        RecordingSurvey,
        StreamRef,
        StreamSoFar,
        SurveyInput,
    )
    from domain.streams.report import clock

_RECORDING_ATTEMPTS = 5


async def recall_stream(stream: StreamRef) -> StreamSoFar | None:
    """Read what is recorded of the stream."""
    return await workflow.execute_activity_method(
        BackfillRecords.recall_stream,
        stream,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary="what is missing",
    )


async def survey_recording(request: SurveyInput, timing: BackfillTiming) -> RecordingSurvey:
    """Read the recording's playlist, for as long as it may still come; an archive takes a while."""
    return await workflow.execute_activity_method(
        Recordings.survey_recording,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=timedelta(seconds=1200),
        heartbeat_timeout=timedelta(seconds=timing.heartbeat_timeout),
        schedule_to_close_timeout=timedelta(seconds=timing.recording_patience),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=timing.retry_interval),
            maximum_interval=timedelta(seconds=60),
        ),
        summary="the recording's playlist",
    )


async def fetch_recording(
    request: FetchRecordingInput, timing: BackfillTiming
) -> FetchRecordingResult:
    """Fetch a piece; one that fails five times is given up, not the backfill."""
    return await workflow.execute_activity_method(
        Recordings.fetch_recording,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=timedelta(seconds=timing.fetch_timeout),
        heartbeat_timeout=timedelta(seconds=timing.heartbeat_timeout),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=timing.retry_interval),
            maximum_attempts=_RECORDING_ATTEMPTS,
        ),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=f"recording from {clock(request.piece.start)}",
    )


async def record_backfill(request: BackfillRecord) -> None:
    """Write what came of gaps, and the stream's state."""
    await workflow.execute_activity_method(
        BackfillRecords.record_backfill,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary=f"{len(request.outcomes)} gaps",
    )


async def release_recording(request: RecordingRelease) -> None:
    """Delete stored media of the recording; failing to is retried, then left."""
    await workflow.execute_activity_method(
        Recordings.release_recording,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=timedelta(seconds=120),
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RetryPolicy(maximum_attempts=5),
        summary="all" if request.before is None else f"before {clock(request.before)}",
    )
