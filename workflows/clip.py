"""ClipWorkflow: renders one clip and records it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Clips, Records
    from domain import task_queues
    from domain.clips.models import ClipInput, ClipOutcome, ClipStatus, RenderedClip
    from domain.streams.messages import ClipRecord
    from workflows import steps
    from workflows.steps import cause_of, tenant_message

_INTERNAL = "The clip could not be made because of an internal error of ours."


class ClipListener:
    """A workflow that receives the outcomes of its clips: a stream's or a backfill's."""

    @workflow.signal(name="clip_finished")
    def clip_finished(self, outcome: ClipOutcome) -> None:
        """Record a finished or failed clip."""


@workflow.defn(name="ClipWorkflow")
class ClipWorkflow:
    """Renders one clip, of a highlight or on demand.

    The workflow id is derived from the clip's id, so it runs once.
    """

    @workflow.init
    def __init__(self, request: ClipInput) -> None:
        self._request = request
        self._spec = request.spec
        self._stream = request.stream_workflow

    @workflow.run
    async def run(self, request: ClipInput) -> ClipOutcome:  # noqa: ARG002 -- see __init__
        """Render and record; signal the workflow that asked for it. Failure is an outcome too.

        If the highlight was deleted meanwhile, all files of the clip are deleted.
        """
        try:
            return await self._make()
        except ActivityError as error:
            if not _is_unwanted(error):
                raise
            await self._delete()
            message = "The clip is no longer wanted: it or its highlight was deleted."
            outcome = self._outcome(ClipStatus.FAILED, message=message)
            await self._tell_stream(outcome)
            return outcome

    @workflow.signal
    def report_to(self, stream_workflow: str) -> None:
        """Signal the outcome to a workflow: the one that waits for it continues as new."""
        self._stream = stream_workflow

    async def _make(self) -> ClipOutcome:
        await self._record(ClipStatus.RENDERING)
        try:
            rendered = await self._render()
        except (ActivityError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                await asyncio.shield(self._discard())
                raise
            workflow.logger.warning("clip not made", extra={"cause": cause_of(error)})
            message = tenant_message(error, otherwise=_INTERNAL)
            return await self._conclude(ClipStatus.FAILED, message=message)
        return await self._conclude(ClipStatus.READY, rendered=rendered)

    async def _render(self) -> RenderedClip:
        """Render on the worker that has the media on its disk, else on any, from the store."""
        worker = self._request.worker
        if worker is not None and workflow.patched("render-where-the-media-is"):
            try:
                return await self._render_on(
                    task_queues.of_worker(task_queues.RENDER, worker),
                    begin_within=timedelta(seconds=self._request.timing.worker_timeout),
                )
            except ActivityError as error:
                if not steps.did_not_begin(error):
                    raise
        return await self._render_on(task_queues.RENDER)

    async def _render_on(
        self, queue: str, *, begin_within: timedelta | None = None
    ) -> RenderedClip:
        timing = self._request.timing
        rendering = workflow.start_activity_method(
            Clips.render_clip,
            self._spec,
            task_queue=queue,
            schedule_to_start_timeout=begin_within,
            start_to_close_timeout=timedelta(seconds=timing.render_timeout),
            heartbeat_timeout=timedelta(seconds=timing.heartbeat_timeout),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=timing.retry_interval),
                maximum_attempts=timing.attempts,
            ),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{self._spec.start:.1f}-{self._spec.end:.1f} s",
        )
        return await steps.outcome_of(rendering)

    async def _conclude(
        self, status: ClipStatus, *, rendered: RenderedClip | None = None, message: str = ""
    ) -> ClipOutcome:
        await self._record(status, rendered=rendered, message=message)
        outcome = self._outcome(status, message=message)
        await self._tell_stream(outcome)
        return outcome

    def _outcome(self, status: ClipStatus, *, message: str) -> ClipOutcome:
        return ClipOutcome(
            clip_id=self._spec.id,
            highlight_id=self._spec.highlight_id,
            status=status,
            message=message,
        )

    async def _tell_stream(self, outcome: ClipOutcome) -> None:
        if self._stream is None:
            return
        stream = workflow.get_external_workflow_handle(self._stream)
        try:
            await stream.signal(ClipListener.clip_finished, outcome)
        except ApplicationError:
            # The stream no longer waits; the clip's record already has the outcome.
            workflow.logger.info("the stream is gone", extra={"clip_id": str(self._spec.id)})

    async def _discard(self) -> None:
        await self._delete()
        await self._record(ClipStatus.DELETED, message="cancelled")

    async def _delete(self) -> None:
        await workflow.execute_activity_method(
            Clips.delete_clip,
            self._spec,
            task_queue=task_queues.RENDER,
            start_to_close_timeout=steps.BRIEF,
            retry_policy=steps.UNTIL_DONE,
            summary="no longer wanted",
        )

    async def _record(
        self, status: ClipStatus, *, rendered: RenderedClip | None = None, message: str = ""
    ) -> None:
        await workflow.execute_activity_method(
            Records.record_clip,
            ClipRecord(spec=self._spec, status=status, rendered=rendered, message=message),
            task_queue=task_queues.IO,
            start_to_close_timeout=steps.BRIEF,
            retry_policy=steps.UNTIL_DONE,
            summary=status,
        )


def _is_unwanted(error: ActivityError) -> bool:
    cause = error.cause
    return isinstance(cause, ApplicationError) and cause.type == steps.RECORD_MISSING
