"""A budget is for a month, and tells at three shares of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from domain.tenants.usage import month_after, month_of, period_of, reached


@pytest.mark.parametrize(
    ("used", "thresholds"),
    [("49.9", ()), ("50", (50,)), ("79.999999", (50,)), ("80", (50, 80)), ("250", (50, 80, 100))],
)
def test_thresholds_are_reached_exactly(used: str, thresholds: tuple[int, ...]) -> None:
    assert reached(used=Decimal(used), budget=Decimal(100)) == thresholds


def test_a_month_is_one_of_utc() -> None:
    at = datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert month_of(at) == datetime(2026, 10, 1, tzinfo=UTC)
    assert period_of(month_of(at)) == "2026-10"


def test_the_year_turns() -> None:
    assert month_after(datetime(2026, 12, 1, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)
    assert month_after(datetime(2026, 2, 1, tzinfo=UTC)) == datetime(2026, 3, 1, tzinfo=UTC)
