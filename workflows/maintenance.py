"""MaintenanceWorkflow: deletes expired records; started by a schedule."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Maintenance
    from domain import task_queues
    from domain.tenants.retention import ExpireRecordsResult, MaintenanceInput


@workflow.defn(name="MaintenanceWorkflow")
class MaintenanceWorkflow:
    """Deletes the expired records of all tenants, once."""

    @workflow.run
    async def run(self, request: MaintenanceInput) -> ExpireRecordsResult:
        """Delete expired records, and return how many; the schedule starts the next run."""
        return await workflow.execute_activity_method(
            Maintenance.expire_records,
            request.expire,
            task_queue=task_queues.IO,
            schedule_to_close_timeout=timedelta(seconds=request.timeout),
            heartbeat_timeout=timedelta(seconds=request.heartbeat_timeout),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=request.retry_interval)),
            summary="old records of all tenants",
        )
