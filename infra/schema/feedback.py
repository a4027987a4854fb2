"""What people think of highlights."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from domain.feedback import Verdict
from infra.schema.base import Base, one_of


class HighlightFeedbackRow(Base):
    """One person's opinion of a highlight, the latest (times in s of media time).

    `author` is the tenant's own name for the person.
    """

    __tablename__ = "highlight_feedback"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "highlight_id", "author"),
        ForeignKeyConstraint(
            ["tenant_id", "highlight_id"],
            ["highlights.tenant_id", "highlights.id"],
            ondelete="CASCADE",
        ),
        one_of("verdict", Verdict),
        CheckConstraint('start < "end"', name="bounds"),
        CheckConstraint('(start IS NULL) = ("end" IS NULL)', name="both_bounds"),
        Index(None, "tenant_id", "highlight_id", "created_at", "id"),
    )

    tenant_id: Mapped[UUID]
    highlight_id: Mapped[UUID]
    author: Mapped[str]
    id: Mapped[UUID]
    verdict: Mapped[str | None]
    start: Mapped[float | None]
    end: Mapped[float | None]
    note: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
