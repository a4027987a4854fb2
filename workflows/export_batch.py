"""ExportBatchWorkflow: makes the exports of one batch, a few at a time."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import ExportBatches
    from domain import task_queues
    from domain.exports.batches import BatchItem, ExportBatchInput, NextExports, NextExportsInput
    from domain.exports.models import ExportInput
    from domain.ids import export_workflow_id
    from workflows import steps
    from workflows.export import ExportWorkflow


@workflow.defn(name="ExportBatchWorkflow")
class ExportBatchWorkflow:
    """Makes the exports of a batch as child workflows. The truth is in their rows.

    A batch that is canceled begins no further export; those that are being made finish. It goes on
    when a signal resumes it, which also starts the workflow again if it has ended.
    """

    @workflow.init
    def __init__(self, request: ExportBatchInput) -> None:
        self._request = request
        self._after = request.after
        self._cancelled = False

    @workflow.signal
    def cancel(self) -> None:
        """Begin no further export."""
        self._cancelled = True

    @workflow.signal
    def resume(self) -> None:
        """Go on after a cancelation, with the first export that had no turn."""
        self._cancelled = False
        self._after = 0

    @workflow.run
    async def run(self, request: ExportBatchInput) -> None:
        """Make all queued exports, then record the outcome. Does nothing if the batch is gone."""
        try:
            await self._start()
            for _ in range(request.pages):
                items = (await self._next()).items
                if not items:
                    await self._finish()
                    return
                await self._make(items)
                if self._cancelled:
                    return
        except ActivityError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == steps.RECORD_MISSING:
                return
            raise
        workflow.continue_as_new(
            ExportBatchInput(
                batch=request.batch,
                after=self._after,
                at_a_time=request.at_a_time,
                page=request.page,
                pages=request.pages,
            )
        )

    async def _make(self, items: tuple[BatchItem, ...]) -> None:
        slots = asyncio.Semaphore(self._request.at_a_time)

        async def make(item: BatchItem) -> None:
            async with slots:
                if self._cancelled:
                    return
                self._after = max(self._after, item.number)
                await self._export(item)

        await asyncio.gather(*map(make, items))

    async def _export(self, item: BatchItem) -> None:
        """Make one export; its row says how it ended, and it ends for itself."""
        spec = item.spec
        try:
            await workflow.execute_child_workflow(
                ExportWorkflow.run,
                ExportInput(spec=spec),
                id=export_workflow_id(tenant_id=spec.tenant_id, export=spec.id),
                task_queue=task_queues.ORCHESTRATION,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"export {item.number} of a batch",
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("export had been started", extra={"export": str(spec.id)})
        except ChildWorkflowError as error:
            if is_cancelled_exception(error) and workflow.cancellation_reason() is not None:
                raise
            workflow.logger.warning("export ended", extra={"cause": steps.cause_of(error)})

    async def _start(self) -> None:
        await workflow.execute_activity_method(
            ExportBatches.start_export_batch,
            self._request.batch,
            task_queue=task_queues.IO,
            start_to_close_timeout=steps.BRIEF,
            retry_policy=steps.UNTIL_DONE,
        )

    async def _next(self) -> NextExports:
        return await workflow.execute_activity_method(
            ExportBatches.next_exports,
            NextExportsInput(
                batch=self._request.batch, after=self._after, limit=self._request.page
            ),
            task_queue=task_queues.IO,
            start_to_close_timeout=steps.BRIEF,
            retry_policy=steps.UNTIL_DONE,
        )

    async def _finish(self) -> None:
        await workflow.execute_activity_method(
            ExportBatches.finish_export_batch,
            self._request.batch,
            task_queue=task_queues.IO,
            start_to_close_timeout=steps.BRIEF,
            retry_policy=steps.UNTIL_DONE,
        )
