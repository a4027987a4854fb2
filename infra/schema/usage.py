"""What tenants have used: each event once, and their sums by the hour."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from domain.usage import UsageKind
from infra.schema.base import Base, one_of


class UsageEventRow(Base):
    """A metered event; its id is derived from what happened, so that a retry is the same event.

    What is owed outlives the stream that it is owed for, so that neither table refers to streams;
    `NO_STREAM` (domain/usage.py) stands for none, since a key takes no NULL.
    """

    __tablename__ = "usage_events"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("kind", UsageKind),
        CheckConstraint("quantity > 0", name="quantity"),
        Index(None, "tenant_id", "at"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    kind: Mapped[str]
    stream_id: Mapped[UUID]
    quantity: Mapped[Decimal] = mapped_column(Numeric(24, 6))
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class UsageHour(Base):
    """The sum of one kind in one hour (UTC) for one stream, added to as events are written."""

    __tablename__ = "usage_hourly"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "hour", "kind", "stream_id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("kind", UsageKind),
    )

    tenant_id: Mapped[UUID]
    hour: Mapped[datetime]
    kind: Mapped[str]
    stream_id: Mapped[UUID]
    quantity: Mapped[Decimal] = mapped_column(Numeric(24, 6))


class UsageBudget(Base):
    """How much of one kind a tenant means to use in a month; it is told of, never enforced.

    `told_month` and `told_percent` are the last threshold that was told.
    """

    __tablename__ = "usage_budgets"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "kind"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("kind", UsageKind),
        CheckConstraint("monthly > 0", name="monthly"),
    )

    tenant_id: Mapped[UUID]
    kind: Mapped[str]
    monthly: Mapped[Decimal] = mapped_column(Numeric(24, 6))
    told_month: Mapped[datetime | None]
    told_percent: Mapped[int | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
