"""Reconciliation with 100ms, and of rows with workflow executions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Inbound
    from domain import task_queues
    from domain.hms.messages import ConnectionRef, ReconcileInput, ReconcileReport
    from workflows.steps import cause_of


@workflow.defn(name="ReconcileWorkflow")
class ReconcileWorkflow:
    """Started by a schedule that starts the next one when this one ends, however it ends.

    One execution makes many passes, so that the list of executions stays short.
    """

    @workflow.init
    def __init__(self, request: ReconcileInput) -> None:
        self._request = request
        self._report = ReconcileReport()  # of this pass
        self._total = ReconcileReport()

    @workflow.run
    async def run(self, request: ReconcileInput) -> ReconcileReport:
        """Reconcile all connections, pass after pass."""
        for number in range(request.passes):
            if number:
                if workflow.info().is_continue_as_new_suggested():
                    break
                await workflow.sleep(request.interval, summary="until the next pass")
            await self._pass(request)
        return self._total

    async def _pass(self, request: ReconcileInput) -> None:
        """Reconcile a few connections concurrently; one that fails does not stop the others."""
        self._report = ReconcileReport()
        waiting = await self._connections(request)
        lines = min(request.at_a_time, len(waiting))
        await asyncio.gather(*(self._work(waiting[line::lines]) for line in range(lines)))
        report = self._total = self._total.then(self._report)
        workflow.set_current_details(
            f"{report.connections} connections: {report.started} streams started, "
            f"{report.ended} ended; {report.failed} connections gave no list"
        )

    async def _connections(self, request: ReconcileInput) -> Sequence[ConnectionRef]:
        try:
            listed = await workflow.execute_activity_method(
                Inbound.managed_connections,
                task_queue=task_queues.IO,
                start_to_close_timeout=timedelta(seconds=request.timeout),
                heartbeat_timeout=timedelta(seconds=request.heartbeat_timeout),
                retry_policy=self._retries(),
                summary="which connections",
            )
        except ActivityError as error:
            if is_cancelled_exception(error) or request.passes == 1:
                raise
            workflow.logger.warning("connections not listed", extra={"cause": cause_of(error)})
            return ()
        return listed.connections

    async def _work(self, refs: Sequence[ConnectionRef]) -> None:
        for ref in refs:
            found = await self._reconcile(ref)
            self._report = self._report.plus(found)  # read after the wait: lines run side by side

    async def _reconcile(self, ref: ConnectionRef) -> ReconcileReport:
        try:
            return await workflow.execute_activity_method(
                Inbound.reconcile_connection,
                ref,
                task_queue=task_queues.IO,
                start_to_close_timeout=timedelta(seconds=self._request.timeout),
                heartbeat_timeout=timedelta(seconds=self._request.heartbeat_timeout),
                retry_policy=self._retries(),
                priority=Priority(fairness_key=str(ref.tenant_id)),
                summary=f"connection {ref.connection_id}",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning(
                "connection not reconciled",
                extra={"connection_id": str(ref.connection_id), "cause": cause_of(error)},
            )
            return ReconcileReport(failed=1)

    def _retries(self) -> RetryPolicy:
        return RetryPolicy(
            initial_interval=timedelta(seconds=self._request.retry_interval),
            maximum_attempts=self._request.attempts,
        )


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
