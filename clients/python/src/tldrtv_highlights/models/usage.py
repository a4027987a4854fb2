"""Usage and budgets."""

from __future__ import annotations

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class Usage(Model):
    """What was used of one kind from `start` on; the name of the kind says the unit."""

    start: AwareDatetime
    kind: str
    stream_id: str | None
    quantity: float
    cost_usd: float


class UsageReport(Model):
    """What was used from `since` until `until`, whole hours of UTC, oldest first."""

    since: AwareDatetime
    until: AwareDatetime
    bucket: str
    data: tuple[Usage, ...]
    cost_usd: float


class Budget(Model):
    """How much of a kind is meant to be used in a month, and is used so far."""

    kind: str
    monthly: float
    used: float
    updated_at: AwareDatetime


class BudgetList(Model):
    """All budgets."""

    data: tuple[Budget, ...]
