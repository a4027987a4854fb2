"""100ms connections of tenants, the events they received, and the beams of those events."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.hms.beam import Outcome
from infra.db.tables.base import Base, WideInteger, one_of


class Connection(Base):
    """A 100ms workspace of a tenant: who may send its events, and how to ask 100ms about it.

    The header's value is kept as a keyed hash; what must be known in plain text (to compute a
    signature or a token) is encrypted (`infra/encryption.py`). `previous_until` is when the secrets
    before the last rotation expire. The indexes on `id`, `account_id` and `app_id` alone
    serve the look-ups made before a tenant is known.
    """

    __tablename__ = "connections"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        Index(None, "id"),
        Index(None, "account_id"),
        Index(None, "app_id"),
        Index(None, "tenant_id", "created_at", "id"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    name: Mapped[str]
    account_id: Mapped[str | None]
    app_id: Mapped[str | None]
    checks: Mapped[dict[str, Any]]
    header_hash: Mapped[bytes]
    header_hash_previous: Mapped[bytes | None]
    signing_secret: Mapped[bytes]
    signing_secret_previous: Mapped[bytes | None]
    previous_until: Mapped[datetime | None]
    management_access_key: Mapped[str | None]
    management_secret: Mapped[bytes | None]
    game: Mapped[str | None]
    title: Mapped[str] = mapped_column(server_default=text("''"))
    policy: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))


class InboundEvent(Base):
    """An event that a connection received; `position` is the order of arrival.

    `lane` is the partition: its events are processed in order; an event without one has no effect.
    `delivered_at` is when its effect was applied or abandoned.
    """

    __tablename__ = "inbound_events"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "connection_id", "event_id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["connections.tenant_id", "connections.id"],
            ondelete="CASCADE",
        ),
        one_of("outcome", Outcome),
        UniqueConstraint("tenant_id", "position"),
        Index(None, "tenant_id", "connection_id", "position"),
        Index(None, "tenant_id", "received_at"),
        Index(
            "ix_inbound_events_pending",
            "tenant_id",
            "connection_id",
            "lane",
            "position",
            postgresql_where=text("delivered_at IS NULL"),
        ),
    )

    tenant_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    event_id: Mapped[str]
    position: Mapped[int] = mapped_column(WideInteger(), Identity(always=True))
    type: Mapped[str]
    lane: Mapped[str | None]
    stream_id: Mapped[UUID | None]
    effect: Mapped[dict[str, Any]]
    is_replay: Mapped[bool]
    body: Mapped[bytes | None]
    occurred_at: Mapped[datetime | None]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(Integer(), server_default=text("0"))
    outcome: Mapped[str | None]
    detail: Mapped[str] = mapped_column(server_default=text("''"))
    delivered_at: Mapped[datetime | None]


class BeamRow(Base):
    """What is known of a beam; one whose end came first has never been opened (a tombstone).

    A beam that reconciliation opened has the listed id in `key` and `job_id` alike, until an event
    that has this job tells its key, which `told_as` then keeps.
    """

    __tablename__ = "beams"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "connection_id", "key"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["connections.tenant_id", "connections.id"],
            ondelete="CASCADE",
        ),
        CheckConstraint("(end_kind IS NULL) = (ended_at IS NULL)", name="end"),
        Index(None, "tenant_id", "connection_id", "session_id"),
        Index(None, "tenant_id", "connection_id", "room_id"),
        Index(None, "tenant_id", "connection_id", "created_at"),
        Index(None, "tenant_id", "connection_id", "job_id"),
        Index(None, "tenant_id", "connection_id", "told_as"),
    )

    tenant_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    key: Mapped[str]
    stream_id: Mapped[UUID]
    room_id: Mapped[str | None]
    session_id: Mapped[str | None]
    job_id: Mapped[str | None]
    told_as: Mapped[str | None]
    opened_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_kind: Mapped[str | None]
    end_message: Mapped[str | None]
    error_type: Mapped[str | None]
    recording: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ClosedSession(Base):
    """A closed session: no further beam of it begins."""

    __tablename__ = "closed_sessions"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "connection_id", "session_id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["connections.tenant_id", "connections.id"],
            ondelete="CASCADE",
        ),
    )

    tenant_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    session_id: Mapped[str]
    closed_at: Mapped[datetime] = mapped_column(server_default=func.now())
