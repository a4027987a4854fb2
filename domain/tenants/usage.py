"""Plans and their limits, metered usage, and budgets of tenants."""

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
    """Plans, smallest first."""

    FREE = "free"
    STARTER = "starter"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class Plan(Model):
    """Limits of a plan.

    Requests are weighted by their cost. One key may use only a part of its tenant's requests, so
    that a misbehaving program does not block the tenant's others. Clips on demand are limited in
    length (s) and in number within 24 hours, feed events for each stream.
    """

    name: PlanName
    requests_per_minute: PositiveInt
    key_requests_per_minute: PositiveInt
    concurrent_streams: PositiveInt
    clip_seconds: PositiveInt
    clips_per_day: PositiveInt
    concurrent_exports: PositiveInt
    renditions_per_export: PositiveInt
    exports_per_batch: PositiveInt
    feed_events_per_minute: PositiveInt


PLANS: Final[Mapping[PlanName, Plan]] = {
    plan.name: plan
    for plan in (
        Plan(
            name=PlanName.FREE,
            requests_per_minute=60,
            key_requests_per_minute=60,
            concurrent_streams=1,
            clip_seconds=60,
            clips_per_day=20,
            concurrent_exports=1,
            renditions_per_export=5,
            exports_per_batch=10,
            feed_events_per_minute=300,
        ),
        Plan(
            name=PlanName.STARTER,
            requests_per_minute=600,
            key_requests_per_minute=300,
            concurrent_streams=5,
            clip_seconds=120,
            clips_per_day=200,
            concurrent_exports=5,
            renditions_per_export=20,
            exports_per_batch=100,
            feed_events_per_minute=1_200,
        ),
        Plan(
            name=PlanName.PRO,
            requests_per_minute=6_000,
            key_requests_per_minute=3_000,
            concurrent_streams=50,
            clip_seconds=300,
            clips_per_day=2_000,
            concurrent_exports=20,
            renditions_per_export=50,
            exports_per_batch=500,
            feed_events_per_minute=3_000,
        ),
        Plan(
            name=PlanName.ENTERPRISE,
            requests_per_minute=60_000,
            key_requests_per_minute=30_000,
            concurrent_streams=1_000,
            clip_seconds=600,
            clips_per_day=20_000,
            concurrent_exports=200,
            renditions_per_export=50,
            exports_per_batch=1_000,
            feed_events_per_minute=6_000,
        ),
    )
}


class StreamQuotaExceededError(Exception):
    """A tenant has as many active streams as its plan allows.

    Attributes:
        plan: the tenant's plan.
        running: active streams, oldest first.
    """

    def __init__(self, plan: Plan, running: Sequence[UUID]) -> None:
        super().__init__(
            f"the plan {plan.name} allows {plan.concurrent_streams} streams at a time, "
            f"and {len(running)} are under way"
        )
        self.plan = plan
        self.running = tuple(running)


def require_stream_quota(plan: Plan, running: Sequence[UUID]) -> None:
    """Raise if a tenant may not start another stream.

    Args:
        plan: the tenant's plan.
        running: its active streams, oldest first.

    Raises:
        StreamQuotaExceededError: the plan allows no more.
    """
    if len(running) >= plan.concurrent_streams:
        raise StreamQuotaExceededError(plan, running)


class ClipTooLongError(Exception):
    """A clip on demand is longer than the tenant's plan allows."""


def require_clip_length(plan: Plan, *, seconds: float) -> None:
    """Raise if a clip on demand of `seconds` is too long.

    Raises:
        ClipTooLongError: the plan allows shorter ones only.
    """
    if seconds > plan.clip_seconds:
        raise ClipTooLongError(
            f"The plan `{plan.name}` allows clips of {plan.clip_seconds} s; this is {seconds:g} s."
        )


class ClipQuotaExceededError(Exception):
    """A tenant has asked for as many clips within 24 hours as its plan allows."""


def require_clip_quota(plan: Plan, *, made: int, count: int) -> None:
    """Raise if a tenant may not have `count` more clips on demand, with `made` in 24 hours.

    Raises:
        ClipQuotaExceededError: the plan allows no more.
    """
    if made + count > plan.clips_per_day:
        raise ClipQuotaExceededError(
            f"The plan `{plan.name}` allows {plan.clips_per_day} clips on demand in 24 hours. "
            f"{made} were made, and {count} more are asked for."
        )


class ExportQuotaExceededError(Exception):
    """A tenant has as many unfinished exports as its plan allows, or asks for too many renditions.

    The message is for the tenant.
    """


def require_export_quota(plan: Plan, unfinished: int) -> None:
    """Raise if a tenant with that many unfinished exports may not start another.

    Raises:
        ExportQuotaExceededError: the plan allows no more.
    """
    if unfinished >= plan.concurrent_exports:
        raise ExportQuotaExceededError(
            f"The plan `{plan.name}` allows {plan.concurrent_exports} exports at a time, and "
            f"{unfinished} are unfinished."
        )


def require_batch_quota(plan: Plan, exports: int) -> None:
    """Raise if a batch may not have that many exports.

    Raises:
        ExportQuotaExceededError: the plan allows fewer.
    """
    if exports > plan.exports_per_batch:
        raise ExportQuotaExceededError(
            f"The plan `{plan.name}` allows {plan.exports_per_batch} exports in a batch; this has "
            f"{exports}. Set `limit` to take the best, or a higher `min_score`."
        )


def require_rendition_quota(plan: Plan, renditions: int) -> None:
    """Raise if one export may not have that many renditions.

    Raises:
        ExportQuotaExceededError: the plan allows fewer.
    """
    if renditions > plan.renditions_per_export:
        raise ExportQuotaExceededError(
            f"The plan `{plan.name}` allows {plan.renditions_per_export} renditions in one export, "
            f"and this has {renditions}."
        )


THRESHOLDS: Final = (50, 80, 100)
"""Percent of a budget at which a tenant is notified."""


def reached(*, used: Decimal, budget: Decimal) -> tuple[int, ...]:
    """Return the thresholds (percent) that `used` has reached of `budget` (> 0), lowest first."""
    return tuple(percent for percent in THRESHOLDS if used * 100 >= budget * percent)


def month_of(at: datetime) -> datetime:
    """Return the start of the month (UTC) that contains `at`."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_after(month: datetime) -> datetime:
    """Return the start of the month after `month`."""
    if month.month == 12:  # noqa: PLR2004 - December
        return month.replace(year=month.year + 1, month=1)
    return month.replace(month=month.month + 1)


def period_of(month: datetime) -> str:
    """Return a month as shown to tenants: `2026-11`."""
    return f"{month:%Y-%m}"


NO_STREAM: Final = UUID(int=0)
"""Stands for the stream of what was used for none."""


class UsageKind(StrEnum):
    """What is metered; the name states the unit."""

    ANALYZED_SECONDS = "analyzed_seconds"  # seconds of media that were analysed
    CLIP_RENDERED = "clip_rendered"  # clips that became ready
    CLIP_BYTES = "clip_bytes"  # their sizes
    EXPORT_RENDERED = "export_rendered"  # renditions of exports that became ready
    EXPORT_BYTES = "export_bytes"  # their sizes
    GEMINI_TOKENS = "gemini_tokens"  # of input and output
    GEMINI_COST_USD = "gemini_cost_usd"  # what they cost us, in US dollars
    WEBHOOK_DELIVERY = "webhook_delivery"  # attempts to deliver a webhook, whatever came of them
    FEED_EVENT = "feed_event"  # events of feeds, in each revision that was stored
    API_REQUEST = "api_request"  # requests that a key was good for and no limit refused
    EMBED_PLAY = "embed_play"  # plays of highlights in embedded players


class UsageEvent(Model):
    """Metered usage, counted once per id; without `at`, its time is that of the write."""

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
    """Return the event for `quantity`, rounded to a millionth.

    Args:
        kind: kind of usage, which determines the unit.
        quantity: amount, more than 0.
        subject: what was used, unique per kind and tenant; equal subjects are the same event.
        stream_id: stream that it was used for.
        at: time of use.
    """
    exact = Decimal(str(quantity)).quantize(Decimal("0.000001"))
    identity = usage_id(kind=kind, subject=subject)
    return UsageEvent(id=identity, kind=kind, quantity=exact, stream_id=stream_id, at=at)


def cost(kind: UsageKind, quantity: Decimal, prices: Mapping[UsageKind, Decimal]) -> Decimal:
    """Return the cost of `quantity` in US dollars; kinds without a price cost nothing."""
    return quantity * prices.get(kind, Decimal(0))
