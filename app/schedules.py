"""The Temporal Schedules: relays, reconciliation and maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from pydantic import BaseModel
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
from temporalio.service import RPCError, RPCStatusCode

from domain import task_queues
from domain.hms.messages import ReconcileInput, RelayInput
from domain.streams.reconciliation import ReconcileExecutionsInput
from domain.tenants.retention import ExpireRecordsInput, MaintenanceInput
from infra.settings import Settings
from infra.temporal.client import REFUSALS
from workflows.maintenance import MaintenanceWorkflow
from workflows.reconcile import ReconcileExecutionsWorkflow, ReconcileWorkflow
from workflows.relay import RelayWorkflow

_RPC_TIMEOUT: Final = timedelta(seconds=5)
_RETRY_INTERVAL: Final = 5.0
_FORBIDDEN: Final = REFUSALS | {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}


_CATCH_UP: Final = timedelta(minutes=1)
"""A round missed for longer than this is not made up for: the next one does its work."""


@dataclass(frozen=True, kw_only=True)
class IntervalSchedule:
    """Rounds of a workflow, one every so often and never two at once.

    Attributes:
        id: of the schedule, and the beginning of its workflows' ids.
        workflow: its run method.
        request: what each round is started with.
        every: time between the beginnings of two rounds.
        note: for who looks at it in Temporal's page.
    """

    id: str
    workflow: Callable[[Any, Any], Awaitable[object]]
    request: BaseModel
    every: timedelta
    note: str


async def ensure_schedule(client: Client, rounds: IntervalSchedule) -> None:
    """Make a schedule, or bring it up to date; one that an operator has paused stays paused.

    Raises:
        temporalio.service.RPCError: Temporal does not answer, or does not permit it.
    """
    wanted = _schedule(rounds)
    try:
        await client.create_schedule(rounds.id, wanted, rpc_timeout=_RPC_TIMEOUT)
    except ScheduleAlreadyRunningError:

        def bring_up_to_date(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(
                Schedule(
                    action=wanted.action,
                    spec=wanted.spec,
                    policy=wanted.policy,
                    state=found.description.schedule.state,
                )
            )

        await client.get_schedule_handle(rounds.id).update(
            bring_up_to_date, rpc_timeout=_RPC_TIMEOUT
        )


def _schedule(rounds: IntervalSchedule) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            rounds.workflow,
            rounds.request,
            id=rounds.id,
            task_queue=task_queues.ORCHESTRATION,
            static_summary=rounds.note,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=rounds.every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
    )


_EXECUTION: Final = 3600.0
"""Seconds that one execution of a frequent workflow lasts: each is a row in Temporal's list."""


_log = structlog.get_logger(__name__)


def all_rounds(settings: Settings) -> tuple[IntervalSchedule, ...]:
    """Return all schedules as they should be.

    A schedule starts no execution while the last one runs, so those of frequent work start the
    next one within an interval after one has ended, or was terminated.
    """
    # One relay serves both directions, at the shorter of the two intervals.
    relay = min(settings.relay_interval, settings.webhook_relay_interval)
    reconcile = settings.reconcile_interval
    executions = settings.execution_reconcile_interval
    return (
        IntervalSchedule(
            id="inbound-relay",
            workflow=RelayWorkflow.run,
            request=RelayInput(interval=relay, passes=_passes(relay)),
            every=timedelta(seconds=relay),
            note="Dispatch events that were stored and not dispatched",
        ),
        IntervalSchedule(
            id="inbound-reconcile",
            workflow=ReconcileWorkflow.run,
            request=ReconcileInput(interval=reconcile, passes=_passes(reconcile)),
            every=timedelta(seconds=reconcile),
            note="Compare our streams with 100ms's",
        ),
        IntervalSchedule(
            id="execution-reconcile",
            workflow=ReconcileExecutionsWorkflow.run,
            request=ReconcileExecutionsInput(interval=executions, passes=_passes(executions)),
            every=timedelta(seconds=executions),
            note="Repair streams, clips and deliveries whose workflow is gone",
        ),
        IntervalSchedule(
            id="maintenance",
            workflow=MaintenanceWorkflow.run,
            request=MaintenanceInput(expire=ExpireRecordsInput(policy=settings.retention_policy())),
            every=timedelta(seconds=settings.maintenance_interval),
            note="Delete old records",
        ),
    )


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Make all schedules, or bring them up to date, as soon as Temporal responds.

    A schedule that the worker may not make is left out.
    """
    for rounds in all_rounds(settings):
        while True:
            try:
                await ensure_schedule(client, rounds)
                break
            except RPCError as error:
                _log.warning("schedule_not_made", schedule=rounds.id, error=error.message)
                if error.status in _FORBIDDEN:
                    break
            await asyncio.sleep(_RETRY_INTERVAL)


def _passes(interval: float) -> int:
    return max(1, int(_EXECUTION / interval))
