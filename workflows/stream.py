"""StreamWorkflow: follows one live stream, from its first segment to its last clip."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import NoReturn
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ApplicationErrorCategory,
    ChildWorkflowError,
    FailureError,
    RetryState,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ActivityHandle, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain import task_queues
    from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
    from domain.clips.models import ClipInput, ClipOutcome, ClipSpec, ClipStatus
    from domain.feed.messages import FeedEventsStored
    from domain.highlights.selection import SelectHighlightsInput
    from domain.ids import backfill_workflow_id, clip_workflow_id
    from domain.ingest.messages import FetchWindowResult
    from domain.streams.ledger import StreamLedger
    from domain.streams.messages import (
        ClipCorrection,
        FollowInput,
        FollowResult,
        MediaRelease,
        RecordingReady,
        SourceFailure,
        StopRequest,
        StreamInput,
        StreamTimeline,
        StreamWorkflowResult,
    )
    from domain.streams.report import clock
    from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
    from workflows import steps
    from workflows.backfill import BackfillWorkflow
    from workflows.clip import ClipWorkflow
    from workflows.steps import STREAM_STATUS, cause_of

# Temporal limits a run to 10,000 signals; its continue-as-new suggestion may come too late.
_SIGNALS_PER_RUN = 5_000

# Each pass that links events of a feed costs about ten history events: the time between two passes,
# and between two while events only wait for their moment. `follow_stream` links them meanwhile.
# Runs that began before the patch `feed-in-follow` do so themselves.
_LINK_SPACING = timedelta(seconds=5)
_LINK_INTERVAL = timedelta(minutes=2)
_LINK_INTERVAL_BEFORE = timedelta(seconds=15)

# The next `follow_stream` waits this long for selection, so that it knows which media the new
# clips wait for. The follower downloads meanwhile.
_SELECTION_PATIENCE = 3.0


@workflow.defn(name="StreamWorkflow")
class StreamWorkflow:
    """Follows one stream in loops that share one ledger: follow, select, cut, record.

    `follow_stream` fetches and analyzes for about a minute at a time. Its loop waits for nothing
    that may take long, because what has left a live playlist is lost. The other loops process what
    it returns; `analyze_window` analyzes again what failed in it, and the rest at the end.

    Runs that began before the patch `follow-stream` run `_fetch_windows` and `_analyze_windows`
    instead, one activity per window, until they continue as new. These two methods, their steps
    and `fetch_window` can go when no run is left that began before the patch: a day after its
    deployment, since a run of the old code lasts half an hour of a live stream.
    """

    @workflow.init
    def __init__(self, request: StreamInput) -> None:
        self._request = request
        self._ledger = StreamLedger(request)
        self._fetch: ActivityHandle[FetchWindowResult] | ActivityHandle[FollowResult] | None = None
        self._followed: FollowInput | None = None  # the request of the current `follow_stream`
        self._follows = False
        self._halted = False  # no other `follow_stream` may start
        self._interrupted = False  # the current `follow_stream` was asked to return
        self._analysis_failed = False  # `analyze_window` analyzes the backlog again
        self._analyzed = False  # the last window is analyzed
        self._selection_late = False  # selection takes long, so following goes on without it
        self._linking = False  # events of the feed are being linked
        self._stop: StreamEnd | None = None
        self._rotation_due = False  # analysis must pause, because continue-as-new is due
        self._analysis_paused = False  # analysis has paused for continue-as-new
        self._rotating = False
        self._analysis_done = False  # the last window is analyzed and the last decision made
        self._closing = False
        self._discards: list[ClipSpec] = []
        self._awaits_clips = False  # clips do not signal their ends, which costs nine events each
        self._clips: dict[UUID, asyncio.Task[None]] = {}  # the clips that this run waits for
        self._signals = 0
        self._fault: BaseException | None = None  # internal; only operators see its text

    @workflow.run
    async def run(self, request: StreamInput) -> StreamWorkflowResult:  # noqa: ARG002 -- see __init__
        """Follow the stream to its end.

        Raises:
            ApplicationError: the stream failed; its type is the reason, its detail the result.
        """
        if workflow.patched("stream-problems"):
            self._ledger.track_problems()
        self._follows = workflow.patched("follow-stream")
        if self._follows:
            self._ledger.start_following()
        self._awaits_clips = workflow.patched("await-clips")
        recorder = asyncio.create_task(self._record_changes())
        try:
            if self._follows:
                await asyncio.gather(
                    self._follow_stream(),
                    self._analyze_backlog(),
                    self._select_highlights(),
                    self._cut_clips(),
                    self._link_feed(),
                )
            else:
                await asyncio.gather(
                    self._fetch_windows(), self._analyze_windows(), self._cut_clips()
                )
            if not self._rotating:
                await self._wait_for_clips()
        except (FailureError, asyncio.CancelledError) as error:
            recorder.cancel()
            await self._stop_fetching()
            if is_cancelled_exception(error):
                await self._cancel_clips()
                await self._close(self._ledger.cancel())
                raise
            workflow.logger.error("the stream failed", extra={"cause": cause_of(error)})
            self._fault = error
            self._ledger.record_media_end(_internal("following the stream to its end"))
        self._closing = True
        await workflow.wait([recorder])
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._rotating:
            await self._continue()
        end = self._ledger.close()
        await self._close(end)
        await self._backfill()
        result = StreamWorkflowResult(end=end, progress=self._ledger.progress)
        if end.status is StreamStatus.FAILED and workflow.patched("failed-streams-fail"):
            # Everything is recorded; this only sets Temporal's status. Benign: no worker failure.
            raise ApplicationError(
                end.message,
                result,
                type=end.reason.value,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            ) from self._fault
        return result

    @workflow.signal
    def stop(self, request: StopRequest) -> None:
        """End the stream gracefully: fetched media is analyzed and its clips are rendered."""
        self._end_media(StreamEnd(reason=EndReason.STOPPED, message=request.message))

    @workflow.signal
    def source_failed(self, failure: SourceFailure) -> None:
        """Record that the source failed; media fetched before is still analyzed."""
        message = f"{failure.error_type}: {failure.message}".removeprefix(": ")
        self._end_media(StreamEnd(reason=EndReason.SOURCE_FAILED, message=message))

    @workflow.signal
    def recording_ready(self, recording: RecordingReady) -> None:
        """Record that the source offers a recording, from which gaps can be filled."""
        self._signals += 1
        self._ledger.set_recording(recording)

    @workflow.signal
    def correct_clip(self, request: ClipCorrection) -> None:
        """Render a highlight's clip with other bounds, if its media is still stored."""
        self._signals += 1
        if self._analysis_done or not self._ledger.correct_clip(request):
            workflow.logger.info(
                "the clip stays as it is", extra={"highlight_id": str(request.highlight_id)}
            )
        self._return_for_clips()

    @workflow.signal
    def clip_finished(self, outcome: ClipOutcome) -> None:
        """Record a finished or failed clip."""
        self._signals += 1
        self._record_clip(outcome)

    @workflow.signal
    def feed_events_stored(self, stored: FeedEventsStored) -> None:
        """Link the events of the feed that were stored."""
        self._signals += 1
        self._ledger.note_feed_events(stored)

    @workflow.query
    def status(self) -> StreamProgress:
        """Return the progress of the stream."""
        return self._ledger.progress

    @workflow.query
    def timeline(self) -> StreamTimeline:
        """Return the stored range, the gaps and the decisions."""
        return self._ledger.timeline()

    async def _follow_stream(self) -> None:
        while self._ledger.end is None and not self._halted:
            await workflow.wait_condition(
                lambda: self._selection_late or not self._ledger.has_undecided
            )
            if self._stop is not None:
                self._ledger.record_media_end(self._stop)
            elif self._should_rotate():
                return
            else:
                await self._follow_once()
            self._show()

    async def _follow_once(self) -> None:
        timing = self._request.timing
        request = self._followed = self._ledger.follow_request(analyze=not self._analysis_failed)
        follow = self._fetch = steps.start_follow(
            request, timing, heartbeat_timeout=self._ledger.heartbeat_timeout
        )
        try:
            result = await steps.outcome_of(follow)
            self._ledger.record_followed(result)
            self._analysis_failed |= result.analysis_failed
        except (ActivityError, asyncio.CancelledError) as error:
            # An activity cancelled before it starts raises CancelledError, not ActivityError.
            if is_cancelled_exception(error):
                if _is_cancelled() or not (self._interrupted or self._stop is not None):
                    raise
                self._record_unreturned(error)
                return
            workflow.logger.error("following failed", extra={"cause": cause_of(error)})
            self._fault = error
            self._ledger.record_media_end(_internal("reading the stream"))
        finally:
            self._fetch = self._followed = None
            self._interrupted = False

    def _record_unreturned(self, error: BaseException) -> None:
        """Record the last heartbeat of a `follow_stream` whose worker died as it was cancelled."""
        progress = steps.last_progress(error)
        if progress is not None and self._followed is not None:
            result = progress.result(problem=self._followed.fetch.problem)
            self._ledger.record_followed(result)

    def _return_for_clips(self) -> None:
        """Ask `follow_stream` for what it has stored, if a clip waits for media it may have."""
        awaited = self._ledger.awaited_media
        if self._followed is None or awaited is None:
            return
        if self._followed.return_at is None or awaited < self._followed.return_at:
            self._return()

    def _return_for_feed(self) -> None:
        """Ask a `follow_stream` that began before the feed's first event to return.

        The next one looks for events with each window, which costs a query.
        """
        if self._followed is None or self._followed.fed:
            return
        if workflow.patched("feed-begins"):
            self._return()

    def _return(self) -> None:
        """Ask `follow_stream` to return what it has done."""
        if self._fetch is not None and self._followed is not None and not self._interrupted:
            self._interrupted = True
            self._fetch.cancel()

    async def _analyze_backlog(self) -> None:
        """Analyze what `follow_stream` could not, and what is left when the media has ended."""
        while not self._analyzed:
            await workflow.wait_condition(
                lambda: self._analysis_failed or self._ledger.end is not None or self._rotating
            )
            if self._rotating:
                return
            request = self._ledger.analysis_request()
            if request.windows or request.last:
                result = await self._analyze(request)
                self._ledger.queue_candidates(result)
            self._analyzed = request.last
            if self._analysis_failed and not self._ledger.has_backlog:
                self._analysis_failed = False
                self._return()  # the next one analyzes again
            self._show()

    async def _analyze(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        """Analyze windows; skip them after too many failures."""
        try:
            result = await steps.analyze(request, self._request.timing)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("windows given up", extra={"cause": cause_of(error)})
            return self._ledger.record_analysis_failure(request)
        self._ledger.record_analyzed(request, result, at=workflow.now())
        return result

    async def _select_highlights(self) -> None:
        while not self._analysis_done:
            await workflow.wait_condition(
                lambda: self._ledger.has_undecided or self._analyzed or self._rotating
            )
            if self._rotating:
                return
            ended = self._analyzed
            request = self._ledger.next_selection(ended=ended)
            if request is not None:
                await self._select(request)
            self._analysis_done = ended
            self._show()

    async def _select(self, request: SelectHighlightsInput) -> None:
        try:
            result = await steps.select(request, patience=_SELECTION_PATIENCE)
        except ActivityError as error:
            if is_cancelled_exception(error) or _is_permanent(error):
                raise
            self._selection_late = True
            result = await steps.select(request)
            self._selection_late = False
        self._discards += self._ledger.record_selected(request, result)
        self._return_for_clips()

    async def _link_feed(self) -> None:
        """Link events of the feed as they come, and those that wait as decisions are made.

        Without events this loop schedules nothing, so that histories without any replay.
        """
        while not self._rotating:
            await workflow.wait_condition(
                lambda: self._ledger.has_feed_events or self._analysis_done or self._rotating
            )
            if self._rotating or not self._ledger.has_feed_events:
                return
            ended = self._analysis_done
            self._linking = True
            result = await steps.link_feed(self._ledger.link_request(ended=ended))
            self._linking = False
            self._discards += self._ledger.record_linked(result)
            self._return_for_feed()
            if ended and not self._ledger.has_new_feed_events:
                return
            await self._wait_to_link()

    async def _wait_to_link(self) -> None:
        def ends() -> bool:
            return self._analysis_done or self._rotating

        with suppress(TimeoutError):
            await workflow.wait_condition(ends, timeout=_LINK_SPACING)
        if not self._ledger.has_feed_events:
            return
        interval = _LINK_INTERVAL
        if not workflow.patched("feed-in-follow"):
            interval = _LINK_INTERVAL_BEFORE
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._ledger.has_new_feed_events or ends(),
                timeout=interval - _LINK_SPACING,
            )

    async def _fetch_windows(self) -> None:
        while self._ledger.end is None:
            if self._stop is not None:
                self._ledger.record_media_end(self._stop)
            elif self._should_rotate():
                return
            else:
                await self._fetch_window()
            self._show()

    async def _fetch_window(self) -> None:
        self._fetch = steps.start_fetch(self._ledger.fetch_request(), self._request.timing)
        try:
            self._ledger.record_fetched(await steps.outcome_of(self._fetch))
        except (ActivityError, asyncio.CancelledError) as error:
            # An activity cancelled before it starts raises CancelledError, not ActivityError.
            if is_cancelled_exception(error) and self._stop is not None:
                return
            if is_cancelled_exception(error):
                raise
            workflow.logger.error("fetching failed", extra={"cause": cause_of(error)})
            self._fault = error
            self._ledger.record_media_end(_internal("reading the stream"))
        finally:
            self._fetch = None

    async def _stop_fetching(self) -> None:
        """Cancel fetching and wait for it, so that nothing is stored after the last release."""
        self._halted = True
        if self._fetch is not None:
            self._fetch.cancel()
        await workflow.wait_condition(lambda: self._fetch is None)

    def _end_media(self, end: StreamEnd) -> None:
        self._signals += 1
        if self._stop is None:
            self._stop = end
            if self._fetch is not None and not self._interrupted:
                self._fetch.cancel()

    def _should_rotate(self) -> bool:
        """Return True if the workflow continues as new now: between two fetches, other loops idle.

        While analysis or a database write is in progress, fetching continues instead: either may
        take long, and a live playlist drops segments within seconds.

        A run also ends after `run_duration`, although its history is short: a workflow's code is
        chosen by its `patched` calls at the start of a run, so that changed code reaches every
        stream within that time, and old code can be deleted.
        """
        info = workflow.info()
        limit = self._request.history_limit
        self._rotation_due = (
            info.is_continue_as_new_suggested()
            or self._signals >= _SIGNALS_PER_RUN
            or (limit is not None and info.get_current_history_length() >= limit)
            or (self._follows and self._is_old())
        )
        idle = self._is_idle() if self._follows else self._analysis_paused
        self._rotating = self._rotation_due and idle and not self._has_pending_writes()
        return self._rotating

    def _is_old(self) -> bool:
        age = workflow.now() - workflow.info().start_time
        return age.total_seconds() >= self._request.timing.run_duration

    def _is_idle(self) -> bool:
        busy = self._analysis_failed or self._linking
        return not busy and not self._ledger.has_undecided

    async def _analyze_windows(self) -> None:
        while not self._analysis_done:
            await workflow.wait_condition(self._may_analyze)
            if self._rotating:
                return
            request = self._ledger.analysis_request()
            result = await self._analyze(request)
            await self._decide(result, ended=request.last)
            self._analysis_done = request.last
            self._show()

    def _may_analyze(self) -> bool:
        self._analysis_paused = self._rotation_due and self._ledger.end is None
        if self._analysis_paused:
            return self._rotating
        return self._ledger.has_backlog or self._ledger.end is not None

    async def _decide(self, result: AnalyzeWindowResult, *, ended: bool) -> None:
        if self._ledger.selection_is_due(result, ended=ended):
            decided = await steps.select(self._ledger.selection_request(result, ended=ended))
            self._discards += self._ledger.record_decisions(decided)

    async def _cut_clips(self) -> None:
        while not self._rotating:
            await workflow.wait_condition(
                lambda: self._ledger.has_ready_to_render or self._analysis_done or self._rotating
            )
            if self._analysis_done and not self._ledger.has_ready_to_render:
                return
            for spec in self._ledger.pop_ready_to_render():
                await self._start_clip(spec)

    async def _start_clip(self, spec: ClipSpec) -> None:
        own = workflow.info().workflow_id
        try:
            clip = await workflow.start_child_workflow(
                ClipWorkflow.run,
                ClipInput(
                    spec=spec,
                    stream_workflow=None if self._awaits_clips else own,
                    timing=self._request.timing.clip,
                    worker=self._ledger.worker,
                ),
                id=clip_workflow_id(tenant_id=spec.tenant_id, clip=spec.id),
                task_queue=task_queues.ORCHESTRATION,
                execution_timeout=timedelta(seconds=self._request.timing.clip_timeout),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"{self._request.name} clip at {clock(spec.peak)}".strip(),
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("the clip is being made", extra={"clip_id": str(spec.id)})
            if self._awaits_clips:  # an operator has reset this workflow
                await self._ask_for_report(spec.id)
            return
        if self._awaits_clips:
            self._clips[spec.id] = asyncio.create_task(self._await_clip(clip, spec))

    async def _await_clip(
        self, clip: ChildWorkflowHandle[ClipWorkflow, ClipOutcome], spec: ClipSpec
    ) -> None:
        try:
            outcome = await clip
        except ChildWorkflowError as error:
            workflow.logger.warning("a clip was not finished", extra={"cause": cause_of(error)})
            outcome = ClipOutcome(
                clip_id=spec.id,
                highlight_id=spec.highlight_id,
                status=ClipStatus.FAILED,
                message="The workflow that makes the clip was ended from outside.",
            )
        del self._clips[spec.id]
        self._record_clip(outcome)

    def _record_clip(self, outcome: ClipOutcome) -> None:
        unwanted = self._ledger.record_clip_outcome(outcome)
        if unwanted is not None:
            self._discards.append(unwanted)
        self._show()

    async def _hand_over_clips(self) -> None:
        """Have clips in progress signal their ends: only this run is their parent."""
        for clip, waiting in list(self._clips.items()):
            if not await self._ask_for_report(clip):
                await waiting  # it has ended, which this run is about to learn

    async def _continue(self) -> NoReturn:
        """Continue as new, with what happened since the last fetch."""
        await self._hand_over_clips()
        if self._discards and workflow.patched("discard-before-continuing"):
            await self._discard_clips()
        if self._stop is not None:
            self._ledger.record_media_end(self._stop)
        state = self._ledger.state()
        workflow.continue_as_new(self._request.model_copy(update={"state": state}))

    async def _ask_for_report(self, clip: UUID) -> bool:
        """Ask a clip to signal its outcome to this workflow. Return False if it has ended."""
        name = clip_workflow_id(tenant_id=self._request.tenant_id, clip=clip)
        try:
            await workflow.get_external_workflow_handle_for(ClipWorkflow.run, name).signal(
                ClipWorkflow.report_to, workflow.info().workflow_id
            )
        except ApplicationError:
            return False
        return True

    async def _record_changes(self) -> None:
        """Write changes in a separate loop, so that no write delays a fetch."""
        while True:
            await workflow.wait_condition(lambda: self._has_pending_writes() or self._closing)
            if not self._has_pending_writes():
                return
            if self._ledger.record_is_due and not await self._try_to_record():
                return
            await self._discard_clips()
            release = self._ledger.due_release()
            if release is not None:
                await self._release(release)

    async def _discard_clips(self) -> None:
        while self._discards:
            await steps.discard_clip(self._discards[0], "its highlight was retracted")
            del self._discards[0]

    def _has_pending_writes(self) -> bool:
        return self._ledger.record_is_due or bool(self._discards) or self._ledger.release_is_due

    async def _record(self) -> None:
        record = self._ledger.record()
        shown = workflow.info().typed_search_attributes.get(STREAM_STATUS)
        if not self._follows or shown != record.progress.status:
            workflow.upsert_search_attributes([STREAM_STATUS.value_set(record.progress.status)])
        await steps.record_stream(record)
        self._ledger.mark_recorded(record)

    async def _try_to_record(self) -> bool:
        """Write the record. Return False, and end the stream, if its row was deleted."""
        try:
            await self._record()
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.error("recording failed", extra={"cause": cause_of(error)})
            self._fault = error
            self._end_media(_internal("storing the stream's state"))
            return False
        return True

    async def _wait_for_clips(self) -> None:
        try:
            await workflow.wait_condition(
                lambda: not self._ledger.rendering,
                timeout=timedelta(seconds=self._request.timing.clips_wait),
            )
        except TimeoutError:
            workflow.logger.warning("clips are still being made after the end of their stream")

    async def _cancel_clips(self) -> None:
        for clip in self._ledger.rendering:
            name = clip_workflow_id(tenant_id=self._request.tenant_id, clip=clip)
            try:
                await workflow.get_external_workflow_handle(name).cancel()
            except ApplicationError:
                workflow.logger.info("the clip was finished", extra={"clip_id": str(clip)})

    async def _close(self, end: StreamEnd) -> None:
        """Write the last record and delete the stored media, from which clips have been made."""
        workflow.logger.info("stream closed", extra={"reason": end.reason})
        await self._try_to_record()
        await self._release(self._ledger.final_release())
        self._show()

    async def _backfill(self) -> None:
        """Start a backfill if media is missing and a recording has been announced."""
        request = self._ledger.backfill_request()
        if request is None or not workflow.patched("backfill"):
            return
        identity = workflow.info().typed_search_attributes
        try:
            await workflow.start_child_workflow(
                BackfillWorkflow.run,
                request,
                id=backfill_workflow_id(tenant_id=request.tenant_id, stream_id=request.stream_id),
                task_queue=task_queues.ORCHESTRATION,
                parent_close_policy=ParentClosePolicy.ABANDON,
                search_attributes=identity,
                static_summary=f"{self._request.name} backfill".strip(),
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("the gaps are being filled")

    async def _release(self, release: MediaRelease) -> None:
        try:
            await steps.release_media(release)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("old media was not deleted", extra={"cause": cause_of(error)})

    def _show(self) -> None:
        workflow.set_current_details(self._ledger.report())


def _is_cancelled() -> bool:
    """Return True if the current task was cancelled itself, not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_permanent(error: ActivityError) -> bool:
    return error.retry_state is RetryState.NON_RETRYABLE_FAILURE and isinstance(
        error.cause, ApplicationError
    )


def _internal(task: str) -> StreamEnd:
    """Return the end of a stream that failed by our fault; `task` is what could not be done."""
    return StreamEnd(
        reason=EndReason.INTERNAL,
        message=f"A fault in our service kept us from {task}. Report it with the stream's id.",
    )
