"""Budgets: how much of a kind of usage a tenant wants to be told of within a month."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

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
