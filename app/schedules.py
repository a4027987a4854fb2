"""The schedules of this installation: what is done regularly, and how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from domain.hms.messages import ReconcileInput, RelayInput
from domain.streams.reconciliation import ReconcileExecutionsInput
from domain.tenants.retention import ExpireRecordsInput, MaintenanceInput
from infra.settings import Settings
from infra.temporal.schedules import IntervalSchedule, ensure_schedule

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
            workflow="InboundRelayWorkflow",
            request=RelayInput(interval=relay, passes=_passes(relay)),
            every=timedelta(seconds=relay),
            note="Dispatch events that were stored and not dispatched",
        ),
        IntervalSchedule(
            id="inbound-reconcile",
            workflow="ReconcileWorkflow",
            request=ReconcileInput(interval=reconcile, passes=_passes(reconcile)),
            every=timedelta(seconds=reconcile),
            note="Compare our streams with 100ms's",
        ),
        IntervalSchedule(
            id="execution-reconcile",
            workflow="ReconcileExecutionsWorkflow",
            request=ReconcileExecutionsInput(interval=executions, passes=_passes(executions)),
            every=timedelta(seconds=executions),
            note="Repair streams, clips and deliveries whose workflow is gone",
        ),
        IntervalSchedule(
            id="maintenance",
            workflow="MaintenanceWorkflow",
            request=MaintenanceInput(expire=ExpireRecordsInput(policy=settings.retention_policy())),
            every=timedelta(seconds=settings.maintenance_interval),
            note="Delete old records",
        ),
    )


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Make all schedules, or bring them up to date; a worker that may not goes on without."""
    for rounds in all_rounds(settings):
        try:
            await ensure_schedule(client, rounds)
        except RPCError as error:
            _log.warning("schedule_not_made", schedule=rounds.id, error=error.message)


def _passes(interval: float) -> int:
    return max(1, int(_EXECUTION / interval))
