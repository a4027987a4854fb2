"""One round of delivering inbound events that could not be delivered when they came."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Inbound
    from domain import task_queues
    from domain.inbound import RelayInput, RelayReport


@workflow.defn(name="RelayWorkflow")
class RelayWorkflow:
    """Started by a schedule that lets no two rounds overlap."""

    @workflow.run
    async def run(self, request: RelayInput) -> RelayReport:
        """Deliver what waits; what fails waits for the next round."""
        report = await workflow.execute_activity_method(
            Inbound.relay_inbound,
            request,
            task_queue=task_queues.IO,
            start_to_close_timeout=timedelta(seconds=request.timeout),
            heartbeat_timeout=timedelta(seconds=request.heartbeat_timeout),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=request.retry_interval),
                maximum_attempts=request.attempts,
            ),
            summary="deliver what waits",
        )
        workflow.set_current_details(
            f"{report.delivered} events of {report.tenants} tenants delivered, "
            f"{report.left} lanes left for the next round"
        )
        return report
