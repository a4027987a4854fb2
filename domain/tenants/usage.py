"""What a tenant's plan allows: how many requests a minute, and how many streams at a time.

Budgets: how much of a kind of usage a tenant wants to be told of within a month.

Usage: what is metered, in which units, and what it costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, PositiveInt

from domain.ids import usage_id
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


THRESHOLDS: Final = (50, 80, 100)
"""Percent of a budget at which a tenant is told."""


def reached(*, used: Decimal, budget: Decimal) -> tuple[int, ...]:
    """Return the thresholds that `used` has reached of a budget above 0, lowest first."""
    return tuple(percent for percent in THRESHOLDS if used * 100 >= budget * percent)


def month_of(at: datetime) -> datetime:
    """Return the start of the month (UTC) in which a moment lies."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_after(month: datetime) -> datetime:
    """Return the start of the month after the one that starts at `month`."""
    if month.month == 12:  # noqa: PLR2004 - December
        return month.replace(year=month.year + 1, month=1)
    return month.replace(month=month.month + 1)


def period_of(month: datetime) -> str:
    """Return a month as tenants are told it: `2026-11`."""
    return f"{month:%Y-%m}"


NO_STREAM: Final = UUID(int=0)
"""Stands for the stream of what was used for none."""


class UsageKind(StrEnum):
    """What is metered; the name says the unit."""

    ANALYZED_SECONDS = "analyzed_seconds"  # seconds of media that were analysed
    CLIP_RENDERED = "clip_rendered"  # clips that became ready
    CLIP_BYTES = "clip_bytes"  # their sizes
    GEMINI_TOKENS = "gemini_tokens"  # of input and output
    GEMINI_COST_USD = "gemini_cost_usd"  # what they cost us, in US dollars
    WEBHOOK_DELIVERY = "webhook_delivery"  # attempts to deliver a webhook, whatever came of them
    API_REQUEST = "api_request"  # requests that a key was good for and no limit refused


class UsageEvent(Model):
    """Something used, counted once under its id; without `at` it is used as it is written."""

    id: UUID
    kind: UsageKind
    quantity: Annotated[Decimal, Field(gt=0, max_digits=24, decimal_places=6)]
    stream_id: UUID | None = None
    at: datetime | None = None


def usage_event(
    kind: UsageKind,
    quantity: float | Decimal,
    *,
    subject: str,
    stream_id: UUID | None = None,
    at: datetime | None = None,
) -> UsageEvent:
    """Return the event of using `quantity`, rounded to a millionth.

    Args:
        kind: what was used, and its unit.
        quantity: how much, more than 0.
        subject: what happened, unique within its kind and tenant: the same words are the same
            event, however often it is written.
        stream_id: what it was used for.
        at: when.
    """
    exact = Decimal(str(quantity)).quantize(Decimal("0.000001"))
    identity = usage_id(kind=kind, subject=subject)
    return UsageEvent(id=identity, kind=kind, quantity=exact, stream_id=stream_id, at=at)


def cost(kind: UsageKind, quantity: Decimal, prices: Mapping[UsageKind, Decimal]) -> Decimal:
    """Return what `quantity` costs in US dollars; what has no price costs nothing."""
    return quantity * prices.get(kind, Decimal(0))
