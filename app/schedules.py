"""The schedules of this installation: what is done in rounds, and how often."""

from __future__ import annotations

from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from domain.inbound import ReconcileInput, RelayInput
from infra.schedules import Rounds, ensure_rounds
from infra.settings import Settings

_log = structlog.get_logger(__name__)


def all_rounds(settings: Settings) -> tuple[Rounds, ...]:
    """Return all schedules as they should be."""
    return (
        Rounds(
            id="inbound-relay",
            workflow="RelayWorkflow",
            request=RelayInput(),
            every=timedelta(seconds=settings.relay_interval),
            note="Deliver inbound events that wait",
        ),
        Rounds(
            id="inbound-reconcile",
            workflow="ReconcileWorkflow",
            request=ReconcileInput(),
            every=timedelta(seconds=settings.reconcile_interval),
            note="Compare our streams with 100ms's",
        ),
    )


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Make all schedules, or bring them up to date; a worker that may not goes on without."""
    for rounds in all_rounds(settings):
        try:
            await ensure_rounds(client, rounds)
        except RPCError as error:
            _log.warning("schedule_not_made", schedule=rounds.id, error=error.message)
