"""One round of asking 100ms which streams are live, and repairing what its webhooks missed."""

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
    from domain.inbound import ConnectionRef, ReconcileInput, ReconcileReport
    from workflows.causes import cause_of


@workflow.defn(name="ReconcileWorkflow")
class ReconcileWorkflow:
    """Started by a schedule that lets no two rounds overlap."""

    @workflow.init
    def __init__(self, request: ReconcileInput) -> None:
        self._request = request
        self._report = ReconcileReport()

    @workflow.run
    async def run(self, request: ReconcileInput) -> ReconcileReport:
        """Reconcile all connections, some at a time; one that fails does not stop the others."""
        listed = await workflow.execute_activity_method(
            Inbound.managed_connections,
            task_queue=task_queues.IO,
            start_to_close_timeout=timedelta(seconds=request.timeout),
            retry_policy=self._retries(),
            summary="which connections",
        )
        waiting = list(listed.connections)
        lines = min(request.at_a_time, len(waiting))
        await asyncio.gather(*(self._work(waiting[line::lines]) for line in range(lines)))
        report = self._report
        workflow.set_current_details(
            f"{report.connections} connections: {report.started} streams started, "
            f"{report.ended} ended; {report.failed} connections gave no list"
        )
        return report

    async def _work(self, refs: Sequence[ConnectionRef]) -> None:
        for ref in refs:
            self._report = self._report.plus(await self._reconcile(ref))

    async def _reconcile(self, ref: ConnectionRef) -> ReconcileReport:
        try:
            return await workflow.execute_activity_method(
                Inbound.reconcile_connection,
                ref,
                task_queue=task_queues.IO,
                start_to_close_timeout=timedelta(seconds=self._request.timeout),
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
