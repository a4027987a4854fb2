"""The windows of a stream, as they were analysed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from infra.schema.base import Base, WideInteger


class StreamWindow(Base):
    """A window that analysis is done with (times in s of media time, size in bytes).

    `analyzer` and `analyzed_at` are NULL for one that was given up.
    """

    __tablename__ = "windows"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "stream_id", "index"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        CheckConstraint('start <= "end"', name="bounds"),
    )

    tenant_id: Mapped[UUID]
    stream_id: Mapped[UUID]
    index: Mapped[int] = mapped_column(WideInteger())
    start: Mapped[float]
    end: Mapped[float]
    segments: Mapped[int]
    size: Mapped[int] = mapped_column(WideInteger())
    analyzer: Mapped[str | None]
    analyzed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
