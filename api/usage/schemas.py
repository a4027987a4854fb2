"""Request and response models of usage and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
)

from api.request_model import RequestModel
from domain.tenants.usage import UsageKind, cost
from infra.db.repositories.usage import Bucket, UsageSum
from infra.db.tables import UsageBudget

_SUM: dict[str, Any] = {
    "start": "2026-05-02T00:00:00Z",
    "kind": "analyzed_seconds",
    "stream_id": None,
    "quantity": 7200.0,
    "cost_usd": 3.6,
}
_BUDGET: dict[str, Any] = {
    "kind": "analyzed_seconds",
    "monthly": 360000.0,
    "used": 7200.0,
    "updated_at": "2026-05-02T19:00:00Z",
}


class UsageModel(BaseModel):
    """Usage of one kind in the period from `start`; the kind names the unit."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUM]})

    start: datetime
    kind: UsageKind
    stream_id: UUID | None = Field(
        description="Null for all streams together, and for usage without a stream."
    )
    quantity: float
    cost_usd: float

    @classmethod
    def of(cls, used: UsageSum, prices: Mapping[UsageKind, Decimal]) -> Self:
        """Return usage with its cost."""
        return cls(
            start=used.start,
            kind=used.kind,
            stream_id=used.stream_id,
            quantity=float(used.quantity),
            cost_usd=float(cost(used.kind, used.quantity, prices)),
        )


class UsageReport(BaseModel):
    """Usage from `since` until `until`, in whole UTC hours, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "since": "2026-05-01T00:00:00Z",
                    "until": "2026-05-03T00:00:00Z",
                    "bucket": "day",
                    "data": [_SUM],
                    "cost_usd": 3.6,
                }
            ]
        }
    )

    since: datetime
    until: datetime
    bucket: Bucket
    data: list[UsageModel]
    cost_usd: float = Field(description="Total of `data`.")


_AMOUNT: Final = TypeAdapter(Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6)])


def _amount(value: object) -> Decimal:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic's own way to refuse
    return _AMOUNT.validate_python(value)


Amount = Annotated[
    Decimal, PlainValidator(_amount), WithJsonSchema(_AMOUNT.json_schema(mode="validation"))
]
"""A decimal, as a number or as text that keeps all of its digits."""


class BudgetRequest(RequestModel):
    """Monthly budget (UTC) of one kind, in its unit."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"monthly": 360000}]})

    monthly: Amount


class BudgetModel(BaseModel):
    """A budget; at 50, 80 and 100 % of it you get a `usage.threshold` event."""

    model_config = ConfigDict(json_schema_extra={"examples": [_BUDGET]})

    kind: UsageKind
    monthly: float
    used: float = Field(description="Usage of the current month so far.")
    updated_at: datetime

    @classmethod
    def of(cls, row: UsageBudget, *, used: Decimal) -> Self:
        """Return a budget with this month's usage."""
        return cls(
            kind=UsageKind(row.kind),
            monthly=float(row.monthly),
            used=float(used),
            updated_at=row.updated_at,
        )


class BudgetList(BaseModel):
    """All budgets."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_BUDGET]}]})

    data: list[BudgetModel]
