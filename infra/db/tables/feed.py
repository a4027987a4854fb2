"""Events of a tenant's feed, and their subjects."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.feed.models import FeedEventKind, FeedOutcome
from infra.db.tables.base import Base, one_of


class FeedEventRow(Base):
    """An event of a feed in its highest revision (`content`), and what became of it.

    `event_id` is the tenant's id. `place` and `error` are seconds of media time. `is_base` says
    that its highlight would not exist without it. Subjects are in `event_subjects` only, so that
    deleting a reference leaves no copy.
    """

    __tablename__ = "stream_events"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        one_of("kind", FeedEventKind),
        one_of("outcome", FeedOutcome),
        Index(None, "tenant_id", "stream_id", "received_at", "id"),
        Index(None, "tenant_id", "stream_id", "outcome", "place"),
        Index(None, "tenant_id", "received_at"),
        Index(None, "tenant_id", "highlight_id", postgresql_where=text("highlight_id IS NOT NULL")),
        Index(None, "tenant_id", "market", postgresql_where=text("market IS NOT NULL")),
        Index(
            None,
            "tenant_id",
            "stream_id",
            "retracts",
            postgresql_where=text("retracts IS NOT NULL"),
        ),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    stream_id: Mapped[UUID]
    event_id: Mapped[str]
    revision: Mapped[int]
    kind: Mapped[str]
    market: Mapped[str | None]
    retracts: Mapped[str | None]
    content: Mapped[dict[str, Any]]
    outcome: Mapped[str]
    detail: Mapped[str] = mapped_column(server_default=text("''"))
    place: Mapped[float | None]
    error: Mapped[float | None]
    highlight_id: Mapped[UUID | None]
    is_base: Mapped[bool] = mapped_column(server_default=text("false"))
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class EventSubject(Base):
    """A subject of an event: the tenant's opaque reference, such as that of a bet."""

    __tablename__ = "event_subjects"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "event_id", "subject"),
        ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["stream_events.tenant_id", "stream_events.id"],
            ondelete="CASCADE",
        ),
        Index(None, "tenant_id", "subject"),
    )

    tenant_id: Mapped[UUID]
    event_id: Mapped[UUID]
    subject: Mapped[str]
