"""Activity calls shared by workflows (queue, timeouts, retries), and failures as text."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Final, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    RetryState,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as ActivityTimeoutError
from temporalio.workflow import ActivityCancellationType, ActivityHandle

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import (
        Analysis,
        BackfillRecords,
        Clips,
        FeedLinking,
        Following,
        Ingest,
        Recordings,
        Records,
        Selection,
    )
    from domain import task_queues
    from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
    from domain.clips.models import ClipSpec, ClipStatus
    from domain.feed.messages import LinkFeedInput, LinkFeedResult
    from domain.highlights.selection import SelectHighlightsInput, SelectHighlightsResult
    from domain.ids import SearchAttribute
    from domain.ingest.messages import FetchWindowInput, FetchWindowResult
    from domain.streams.backfill.messages import (
        BackfillRecord,
        BackfillTiming,
        FetchRecordingInput,
        FetchRecordingResult,
        RecordingRelease,
        RecordingSurvey,
        StoredStreamState,
        StreamRef,
        SurveyInput,
    )
    from domain.streams.messages import (
        ClipRecord,
        FollowInput,
        FollowProgress,
        FollowResult,
        MediaRelease,
        StreamRecord,
        StreamTiming,
    )
    from domain.streams.report import clock

_Result = TypeVar("_Result")

_OUR_CODE: Final = re.compile(r"[a-z]+(_[a-z]+)+")
LONGEST = 500
"""Maximum length of a message; it is kept in the workflow history."""


def tenant_message(error: BaseException, *, otherwise: str) -> str:
    """Return the message of an error that a tenant may read, or `otherwise`.

    Errors raised for tenants have a code such as `media_gone` as their type. Any other exception
    has its class name there, and its text reveals internals.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError) and _OUR_CODE.fullmatch(cause.type or ""):
            return cause.message[:LONGEST]
        cause = cause.__cause__
    return otherwise


def cause_of(error: BaseException) -> str:
    """Return the messages of all causes of `error`, the nearest first."""
    words: list[str] = []
    cause = error.__cause__
    while cause is not None:
        words.append(str(cause))
        cause = cause.__cause__
    return (": ".join(words) or str(error))[:LONGEST]


async def outcome_of(handle: ActivityHandle[_Result]) -> _Result:
    """Wait for an activity that may be cancelled and that reports its cancellation itself.

    Temporal does not retry an activity after its cancellation was requested: if its worker dies
    before it reports, the error is a timeout.

    Raises:
        ActivityError: the activity failed, or was cancelled.
        CancelledError: it was to be cancelled, and failed otherwise, which is the cause.
    """
    try:
        return await handle
    except ActivityError as error:
        unretried = error.retry_state is RetryState.CANCEL_REQUESTED
        if is_cancelled_exception(error) or not unretried:
            raise
        if not workflow.patched("cancelled-then-failed"):
            raise
        raise asyncio.CancelledError from error


def last_progress(error: BaseException) -> FollowProgress | None:
    """Return the last heartbeat of a `follow_stream` that was cancelled and then timed out."""
    failure = error.__cause__
    timeout = failure.cause if isinstance(failure, ActivityError) else None
    if not isinstance(timeout, ActivityTimeoutError) or not timeout.last_heartbeat_details:
        return None
    return FollowProgress.model_validate(timeout.last_heartbeat_details[0])


def did_not_begin(error: ActivityError) -> bool:
    """Return True if no worker took the activity within its schedule-to-start timeout."""
    cause = error.cause
    return isinstance(cause, ActivityTimeoutError) and cause.type is TimeoutType.SCHEDULE_TO_START


TENANT_ID: Final = SearchAttributeKey.for_keyword(SearchAttribute.TENANT_ID)
STREAM_ID: Final = SearchAttributeKey.for_keyword(SearchAttribute.STREAM_ID)
GAME: Final = SearchAttributeKey.for_keyword(SearchAttribute.GAME)
STREAM_STATUS: Final = SearchAttributeKey.for_keyword(SearchAttribute.STREAM_STATUS)


FOLLOW_STREAM: Final = Following.follow_stream.__name__
"""The activity whose heartbeats carry a stream's `FollowProgress`."""


STREAM_CALLS: Final = {
    FOLLOW_STREAM: (FollowInput, FollowResult),
    Analysis.analyze_window.__name__: (AnalyzeWindowInput, AnalyzeWindowResult),
    Selection.select_highlights.__name__: (SelectHighlightsInput, SelectHighlightsResult),
}
"""Types of the activities that find a stream's candidates and decide on them."""


# Name of `RecordMissingError` in `infra.db.errors`: the row was deleted for good.
RECORD_MISSING = "RecordMissingError"


# Errors that no retry can fix: the database rejects the value, or it is not UTF-8.
PERMANENT = (
    "UnstorableValueError",
    "UnicodeEncodeError",
    "UnicodeDecodeError",
    "PydanticSerializationError",
)


# Writes that must not be lost are retried for as long as the workflow runs, until our database or
# store is available again. The stream continues to be fetched meanwhile.
UNTIL_DONE = RetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    maximum_interval=timedelta(seconds=15),
    non_retryable_error_types=[RECORD_MISSING, *PERMANENT],
)


# Timeout of a few statements or deletions, and so the cost of a dead worker. Activities that can
# take longer send heartbeats instead.
BRIEF = timedelta(seconds=15)


HEARTBEAT = timedelta(seconds=10)


def start_fetch(
    request: FetchWindowInput, timing: StreamTiming
) -> ActivityHandle[FetchWindowResult]:
    """Start to follow the playlist for one window; retries are fast enough for a live playlist.

    The number of attempts is limited, not the total time: an outage during which no worker runs
    must not end the stream.
    """
    return workflow.start_activity_method(
        Ingest.fetch_window,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=timedelta(seconds=timing.fetch_timeout),
        heartbeat_timeout=timedelta(seconds=timing.heartbeat_timeout),
        retry_policy=_live_retries(timing),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=f"window {request.cursor.window_index} from {clock(request.cursor.position)}",
    )


def start_follow(
    request: FollowInput, timing: StreamTiming, *, heartbeat_timeout: float
) -> ActivityHandle[FollowResult]:
    """Start to follow the stream for a while; retries are as those of `start_fetch`."""
    cursor = request.fetch.cursor
    return workflow.start_activity_method(
        Following.follow_stream,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=timedelta(seconds=timing.fetch_timeout),
        heartbeat_timeout=timedelta(seconds=heartbeat_timeout),
        retry_policy=_live_retries(timing),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=f"from {clock(cursor.position)}, window {cursor.window_index}",
    )


def _live_retries(timing: StreamTiming) -> RetryPolicy:
    longest_pause = timing.heartbeat_timeout / 2
    return RetryPolicy(
        initial_interval=timedelta(seconds=timing.retry_interval),
        maximum_interval=timedelta(seconds=longest_pause),
        maximum_attempts=max(2, int(timing.fetch_timeout / longest_pause)),
        non_retryable_error_types=list(PERMANENT),
    )


async def analyze(request: AnalyzeWindowInput, timing: StreamTiming) -> AnalyzeWindowResult:
    """Analyze windows; windows that fail five times are skipped, the stream continues."""
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


async def select(
    request: SelectHighlightsInput, *, patience: float | None = None
) -> SelectHighlightsResult:
    """Decide on candidates, and record the decisions; gives up after `patience` seconds, if set."""
    return await workflow.execute_activity_method(
        Selection.select_highlights,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        schedule_to_close_timeout=None if patience is None else timedelta(seconds=patience),
        retry_policy=UNTIL_DONE,
        summary=f"{len(request.candidates)} new at {clock(request.watermark)}",
    )


async def link_feed(request: LinkFeedInput) -> LinkFeedResult:
    """Place the stream's waiting events, and link them to highlights."""
    return await workflow.execute_activity_method(
        FeedLinking.link_feed_events,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary=f"events of the feed at {clock(request.analyzed)}",
    )


async def record_stream(record: StreamRecord) -> None:
    """Write the stream's record."""
    await workflow.execute_activity_method(
        Records.record_stream,
        record,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary=record.progress.status,
    )


async def discard_clip(spec: ClipSpec, message: str) -> None:
    """Mark a clip as deleted, then delete its files, so that no record has dead links."""
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
    """Delete stored segments; after failed retries, the next release deletes them."""
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


_RECORDING_ATTEMPTS = 5


async def recall_stream(stream: StreamRef) -> StoredStreamState | None:
    """Read the stored state of the stream."""
    return await workflow.execute_activity_method(
        BackfillRecords.recall_stream,
        stream,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary="what is missing",
    )


async def survey_recording(request: SurveyInput, timing: BackfillTiming) -> RecordingSurvey:
    """Read the recording's playlist, for as long as it may still appear."""
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
    """Fetch a chunk; one that fails five times is skipped, the backfill continues."""
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
    """Write the outcomes of gaps, and the stream's record."""
    await workflow.execute_activity_method(
        BackfillRecords.record_backfill,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=BRIEF,
        retry_policy=UNTIL_DONE,
        summary=f"{len(request.outcomes)} gaps",
    )


async def release_recording(request: RecordingRelease) -> None:
    """Delete stored media of the recording; gives up after a few retries."""
    await workflow.execute_activity_method(
        Recordings.release_recording,
        request,
        task_queue=task_queues.IO,
        start_to_close_timeout=timedelta(seconds=120),
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RetryPolicy(maximum_attempts=5),
        summary="all" if request.before is None else f"before {clock(request.before)}",
    )
