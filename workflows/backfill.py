"""BackfillWorkflow: analyzes from the recording what a live stream missed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain import task_queues
    from domain.analysis.messages import AnalyzeWindowResult
    from domain.clips.models import ClipInput, ClipOutcome, ClipSpec
    from domain.highlights.selection import SelectHighlightsInput
    from domain.ids import clip_workflow_id
    from domain.streams.backfill.ledger import BackfillLedger
    from domain.streams.backfill.messages import (
        BackfillInput,
        BackfillOutcome,
        BackfillResult,
        RecordingRelease,
        RecordingSurvey,
        StoredStreamState,
        StreamRef,
        survey_request,
    )
    from domain.streams.backfill.planning import RecordingChunk, RecordingRange
    from domain.streams.report import clock
    from domain.streams.status import EndReason, StreamEnd
    from workflows import steps
    from workflows.clip import ClipWorkflow
    from workflows.steps import cause_of, tenant_message

_UNREADABLE = "The recording could not be read in any of our attempts."


@workflow.defn(name="BackfillWorkflow")
class BackfillWorkflow:
    """Fills the gaps of an ended stream, or analyzes a missed stream, or reanalyzes all of one.

    It uses the stored state of the stream, not the state of its workflow, so that it can start at
    any time later, and again when another recording is available.
    """

    @workflow.init
    def __init__(self, request: BackfillInput) -> None:
        self._request = request
        self._ledger: BackfillLedger | None = None

    @workflow.run
    async def run(self, request: BackfillInput) -> BackfillResult:
        """Fetch, analyze, select, cut. An unreadable recording is a result, not an error."""
        stream = await steps.recall_stream(
            StreamRef(tenant_id=request.tenant_id, stream_id=request.stream_id, again=request.again)
        )
        if stream is None:
            return BackfillResult(
                outcome=BackfillOutcome.NO_STREAM, message="The stream has been deleted."
            )
        if not stream.gaps and not stream.missed_altogether and not request.again:
            return BackfillResult()
        try:
            ledger = BackfillLedger(request, stream, await self._survey(stream))
            self._ledger = ledger
            await self._record(ledger)
            await self._fill(ledger)
            await self._wait_for_clips(ledger)
            ledger.close()
            await self._record(ledger)
        except (FailureError, asyncio.CancelledError):
            await asyncio.shield(self._release(self._final_release()))
            raise
        await self._release(self._final_release())
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._show(ledger)
        return ledger.result()

    def _final_release(self) -> RecordingRelease:
        is_whole = self._ledger is not None and self._ledger.is_whole_stream
        return self._request.final_release(keep=is_whole)

    @workflow.signal
    def clip_finished(self, outcome: ClipOutcome) -> None:
        """Record a finished or failed clip."""
        if self._ledger is not None:
            self._ledger.record_clip_outcome(outcome)

    async def _survey(self, stream: StoredStreamState) -> RecordingSurvey:
        try:
            return await steps.survey_recording(
                survey_request(self._request, stream), self._request.timing
            )
        except ActivityError as error:
            _pass_on_cancellation(error)
            workflow.logger.warning("recording not read", extra={"cause": cause_of(error)})
            message = tenant_message(error, otherwise=_UNREADABLE)
            return RecordingSurvey(
                problem=StreamEnd(reason=EndReason.ORIGIN_UNREACHABLE, message=message)
            )

    async def _fill(self, ledger: BackfillLedger) -> None:
        for span in ledger.ranges:
            await self._select(ledger, ledger.selection_request_before(span))
            previous: int | None = None
            for piece in span.pieces:
                previous = await self._take(ledger, span, piece, previous)
                await self._cut(ledger, range_over=piece is span.pieces[-1])
                await self._release(ledger.due_release())
                if piece is span.pieces[-1] or not ledger.is_whole_stream:
                    continue  # what follows records it
                if workflow.patched("progress-of-recordings"):
                    await self._record(ledger)
            ledger.record_range_end(span)
            await self._record(ledger)
        await self._select(ledger, ledger.final_selection_request())
        await self._cut(ledger, range_over=True)

    async def _take(
        self,
        ledger: BackfillLedger,
        span: RecordingRange,
        piece: RecordingChunk,
        previous: int | None,
    ) -> int | None:
        """Fetch, analyze and select a chunk; return the number of the last analyzed window."""
        try:
            fetched = await steps.fetch_recording(
                ledger.fetch_request(span, piece), self._request.timing
            )
            ledger.record_fetched(fetched)
            windows = (fetched.window,) if fetched.window is not None else ()
        except ActivityError as error:
            _pass_on_cancellation(error)
            workflow.logger.warning("piece given up", extra={"cause": cause_of(error)})
            ledger.record_fetch_failure()
            windows = ()
        last = piece is span.pieces[-1]
        if not windows and not (last and previous is not None):
            return previous
        request = ledger.analysis_request(windows, previous=previous, last=last)
        try:
            result = await steps.analyze(request, self._request.timing)
        except ActivityError as error:
            _pass_on_cancellation(error)
            workflow.logger.warning("windows given up", extra={"cause": cause_of(error)})
            return previous
        ledger.record_analyzed(request, result)
        await self._choose(ledger, span, result)
        return piece.window if windows else previous

    async def _choose(
        self, ledger: BackfillLedger, span: RecordingRange, result: AnalyzeWindowResult
    ) -> None:
        await self._select(ledger, ledger.selection_request(span, result))
        self._show(ledger)

    async def _select(self, ledger: BackfillLedger, request: SelectHighlightsInput | None) -> None:
        if request is not None:
            ledger.record_decisions(await steps.select(request))

    async def _cut(self, ledger: BackfillLedger, *, range_over: bool) -> None:
        for spec in ledger.pop_ready_to_render(range_over=range_over):
            await self._start_clip(spec)

    async def _start_clip(self, spec: ClipSpec) -> None:
        timing = self._request.timing
        try:
            await workflow.start_child_workflow(
                ClipWorkflow.run,
                ClipInput(
                    spec=spec, stream_workflow=workflow.info().workflow_id, timing=timing.clip
                ),
                id=clip_workflow_id(tenant_id=spec.tenant_id, clip=spec.id),
                task_queue=task_queues.ORCHESTRATION,
                execution_timeout=timedelta(seconds=timing.clip_timeout),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"{self._request.name} clip at {clock(spec.peak)}".strip(),
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("the clip is being made", extra={"clip_id": str(spec.id)})

    async def _wait_for_clips(self, ledger: BackfillLedger) -> None:
        try:
            await workflow.wait_condition(
                lambda: not ledger.rendering,
                timeout=timedelta(seconds=self._request.timing.clips_wait),
            )
        except TimeoutError:
            workflow.logger.warning("clips are still being made after the end of the backfill")

    async def _record(self, ledger: BackfillLedger) -> None:
        record = ledger.record()
        await steps.record_backfill(record)
        ledger.mark_recorded(record)

    async def _release(self, release: RecordingRelease | None) -> None:
        if release is None:
            return
        try:
            await steps.release_recording(release)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("old media was not deleted", extra={"cause": cause_of(error)})

    def _show(self, ledger: BackfillLedger) -> None:
        workflow.set_current_details(ledger.report())


def _pass_on_cancellation(error: ActivityError) -> None:
    """Raise if a step failed because the workflow was cancelled.

    If the worker dies during the step, the error is a timeout instead of the cancellation.

    Raises:
        ActivityError: the step was cancelled.
        CancelledError: the workflow was cancelled, and the step failed otherwise.
    """
    if is_cancelled_exception(error):
        raise error
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError from error
