"""What a tenant's plan allows: how many requests a minute, and how many streams at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import PositiveInt

from domain.model import Model


class PlanName(StrEnum):
    """The plans that we sell, smallest first."""

    FREE = "free"
    STARTER = "starter"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class Plan(Model):
    """What one plan allows.

    A request counts as many times as it costs us. One key may use a part of its tenant's requests
    only, so that a program gone wild does not silence the tenant's others.
    """

    name: PlanName
    requests_per_minute: PositiveInt
    key_requests_per_minute: PositiveInt
    concurrent_streams: PositiveInt


PLANS: Final[Mapping[PlanName, Plan]] = {
    plan.name: plan
    for plan in (
        Plan(
            name=PlanName.FREE,
            requests_per_minute=60,
            key_requests_per_minute=60,
            concurrent_streams=1,
        ),
        Plan(
            name=PlanName.STARTER,
            requests_per_minute=600,
            key_requests_per_minute=300,
            concurrent_streams=5,
        ),
        Plan(
            name=PlanName.PRO,
            requests_per_minute=6_000,
            key_requests_per_minute=3_000,
            concurrent_streams=50,
        ),
        Plan(
            name=PlanName.ENTERPRISE,
            requests_per_minute=60_000,
            key_requests_per_minute=30_000,
            concurrent_streams=1_000,
        ),
    )
}


class StreamQuotaExceededError(Exception):
    """A tenant has as many streams under way as its plan allows.

    Attributes:
        plan: the plan.
        running: the streams under way, oldest first.
    """

    def __init__(self, plan: Plan, running: Sequence[UUID]) -> None:
        super().__init__(
            f"the plan {plan.name} allows {plan.concurrent_streams} streams at a time, "
            f"and {len(running)} are under way"
        )
        self.plan = plan
        self.running = tuple(running)


def require_room(plan: Plan, running: Sequence[UUID]) -> None:
    """Make sure that a tenant may have one stream more.

    Args:
        plan: the tenant's.
        running: its streams that have not ended, oldest first.

    Raises:
        StreamQuotaExceededError: it may not.
    """
    if len(running) >= plan.concurrent_streams:
        raise StreamQuotaExceededError(plan, running)
