"""Compares rows with the workflow executions that should be working on them."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import ExecutionReconciler
    from domain import task_queues
    from domain.streams.reconciliation import ReconcileExecutionsInput, ReconcileExecutionsReport
    from workflows.steps import cause_of


@workflow.defn(name="ReconcileExecutionsWorkflow")
class ReconcileExecutionsWorkflow:
    """Started by a schedule that starts the next one when this one ends, however it ends."""

    @workflow.run
    async def run(self, request: ReconcileExecutionsInput) -> ReconcileExecutionsReport:
        """Make the passes; one that fails is left to the next."""
        total = ReconcileExecutionsReport()
        for number in range(request.passes):
            if number:
                if workflow.info().is_continue_as_new_suggested():
                    break
                await workflow.sleep(request.interval, summary="until the next pass")
            total = total.plus(await self._reconcile(request))
            workflow.set_current_details(f"{number + 1} passes: {total.summary()}")
        return total

    async def _reconcile(self, request: ReconcileExecutionsInput) -> ReconcileExecutionsReport:
        try:
            return await workflow.execute_activity_method(
                ExecutionReconciler.reconcile_executions,
                request,
                task_queue=task_queues.IO,
                start_to_close_timeout=timedelta(seconds=request.timeout),
                heartbeat_timeout=timedelta(seconds=request.heartbeat_timeout),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=request.retry_interval),
                    maximum_attempts=request.attempts,
                ),
                summary="compare rows with executions",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("rows were not reconciled", extra={"cause": cause_of(error)})
            return ReconcileExecutionsReport(failed=1)
