"""What happens at fixed intervals, kept on the Temporal server as its settings say."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from domain import task_queues
from domain.expiry import ExpireRecordsInput, MaintenanceInput
from infra.settings import Settings
from workflows.maintenance import MaintenanceWorkflow

MAINTENANCE: Final = "maintenance"
_log = structlog.get_logger(__name__)


async def keep_schedules(client: Client, settings: Settings) -> None:
    """Make the schedules, or bring those there are up to date; workers may do so together.

    A server that refuses is logged and asked again by the next worker: streams matter more.
    """
    try:
        await _keep(client, MAINTENANCE, _maintenance(settings))
    except RPCError as error:
        _log.warning("schedules not kept", status=str(error.status), error=error.message)


def _maintenance(settings: Settings) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            MaintenanceWorkflow.run,
            MaintenanceInput(expire=ExpireRecordsInput(policy=settings.retention_policy())),
            id=MAINTENANCE,
            task_queue=task_queues.ORCHESTRATION,
        ),
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=timedelta(seconds=settings.maintenance_interval))]
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )


async def _keep(client: Client, name: str, schedule: Schedule) -> None:
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:

        def changed(before: ScheduleUpdateInput) -> ScheduleUpdate:
            # An operator who paused it meant it.
            schedule.state = before.description.schedule.state
            return ScheduleUpdate(schedule=schedule)

        await client.get_schedule_handle(name).update(changed)
