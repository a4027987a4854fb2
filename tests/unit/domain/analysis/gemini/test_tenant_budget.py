"""What is left of a tenant's hour and month."""

from __future__ import annotations

import pytest

from domain.analysis.gemini.budget import TenantBudget, TenantSpending

BUDGET = TenantBudget(dollars_per_hour=2.0, dollars_per_month=10.0)


@pytest.mark.parametrize(
    ("hour", "month", "left"), [(0, 0, 2.0), (1.5, 4, 0.5), (0.5, 9.75, 0.25), (3, 3, 0.0)]
)
def test_the_nearer_end_counts(hour: float, month: float, left: float) -> None:
    assert BUDGET.remaining_dollars(TenantSpending(hour=hour, month=month)) == left
