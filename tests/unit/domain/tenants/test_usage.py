"""Usage events are the same however often they are made, and have a price."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.tenants.usage import UsageKind, cost, usage_event


def test_the_same_subject_is_the_same_event() -> None:
    first = usage_event(UsageKind.CLIP_BYTES, 10, subject="a")
    assert first.id == usage_event(UsageKind.CLIP_BYTES, 12, subject="a").id
    assert first.id != usage_event(UsageKind.CLIP_BYTES, 10, subject="b").id
    assert first.id != usage_event(UsageKind.CLIP_RENDERED, 10, subject="a").id


@given(st.floats(min_value=1e-5, max_value=1e12))
def test_quantities_are_exact_to_a_millionth(quantity: float) -> None:
    event = usage_event(UsageKind.ANALYZED_SECONDS, quantity, subject="a", stream_id=uuid4())
    assert abs(float(event.quantity) - quantity) <= max(1e-6, quantity * 1e-15)


@pytest.mark.parametrize("quantity", [0, -1])
def test_nothing_is_no_usage(quantity: float) -> None:
    with pytest.raises(ValidationError):
        usage_event(UsageKind.GEMINI_TOKENS, quantity, subject="a")


def test_a_cost_is_quantity_times_price_and_nothing_without_one() -> None:
    prices = {UsageKind.ANALYZED_SECONDS: Decimal("0.0002")}
    assert cost(UsageKind.ANALYZED_SECONDS, Decimal(3600), prices) == Decimal("0.72")
    assert cost(UsageKind.CLIP_RENDERED, Decimal(3), prices) == 0
