"""The outbox: what tenants are to be told."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from domain.events import EventType
from infra.schema.base import Base, WideInteger, one_of


class EventRow(Base):
    """An event, written in the transaction that makes it true.

    `position` orders the events of one subject as they happened, since whoever writes one holds
    the lock of its subject's row. Each relay keeps its own place: `dispatched_at` is when
    deliveries to webhook endpoints were made of it, `published_at` when a broker confirmed it.
    """

    __tablename__ = "events"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("type", EventType),
        Index(None, "tenant_id", "created_at", "id"),
        Index(
            "ix_events_undispatched",
            "tenant_id",
            "position",
            postgresql_where=text("dispatched_at IS NULL"),
        ),
        Index(
            "ix_events_unpublished",
            "tenant_id",
            "position",
            postgresql_where=text("published_at IS NULL"),
        ),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    position: Mapped[int] = mapped_column(WideInteger(), Identity(always=True))
    type: Mapped[str]
    subject: Mapped[str]
    ordering_key: Mapped[str]
    stream_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    dispatched_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
