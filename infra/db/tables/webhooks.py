"""The event outbox, webhook endpoints, deliveries and their attempts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from domain.webhooks.events import DeliveryStatus, DisabledReason, EndpointStatus, EventType
from infra.db.tables.base import Base, WideInteger, one_of


class EventRow(Base):
    """An event, written in the transaction that makes it true.

    `position` orders the events of one subject as they happened, since a writer holds the lock of
    the subject's row. Each relay keeps its own place: `dispatched_at` is when
    deliveries to webhook endpoints were made of it, `published_at` when a broker confirmed it.
    """

    __tablename__ = "events"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("type", EventType),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "position"),
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


class WebhookEndpoint(Base):
    """An address that receives a tenant's events; no event types mean all.

    The secrets are encrypted (`infra/encryption.py`). `failing_since` is the first failed attempt
    after the last success. The row of a deleted endpoint is gone, its deliveries with it.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("status", EndpointStatus),
        one_of("disabled_reason", DisabledReason),
        Index(None, "tenant_id", "created_at", "id"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    url: Mapped[str]
    description: Mapped[str]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    secret: Mapped[bytes]
    previous_secret: Mapped[bytes | None]
    previous_secret_until: Mapped[datetime | None]
    status: Mapped[str]
    disabled_reason: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))


class Delivery(Base):
    """An event for one endpoint, and its progress.

    `queued_at` is when its workflow was notified; if NULL, the relay notifies it. A redelivery
    resets `first_attempt_at` and `next_attempt_at`.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "event_id"], ["events.tenant_id", "events.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"],
            ["webhook_endpoints.tenant_id", "webhook_endpoints.id"],
            ondelete="CASCADE",
        ),
        one_of("event_type", EventType),
        one_of("status", DeliveryStatus),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "endpoint_id", "created_at", "id"),
        Index(None, "tenant_id", "endpoint_id", "status", "created_at", "id"),
        Index(None, "tenant_id", "status", "created_at", "id"),
        Index(None, "tenant_id", "event_type", "created_at", "id"),
        Index(None, "tenant_id", "event_id"),
        Index(
            "ix_deliveries_pending",
            "tenant_id",
            postgresql_where=text("status = 'pending'"),
        ),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    event_id: Mapped[UUID]
    endpoint_id: Mapped[UUID]
    event_type: Mapped[str]
    status: Mapped[str]
    attempts: Mapped[int] = mapped_column(Integer(), server_default=text("0"))
    first_attempt_at: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    last_status_code: Mapped[int | None]
    last_error: Mapped[str | None]
    queued_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DeliveryAttempt(Base):
    """One request to an endpoint: when, for how many seconds, and the start of the answer."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "delivery_id", "number"),
        ForeignKeyConstraint(
            ["tenant_id", "delivery_id"],
            ["deliveries.tenant_id", "deliveries.id"],
            ondelete="CASCADE",
        ),
    )

    tenant_id: Mapped[UUID]
    delivery_id: Mapped[UUID]
    number: Mapped[int]
    at: Mapped[datetime]
    duration: Mapped[float]
    status_code: Mapped[int | None]
    error: Mapped[str | None]
    response: Mapped[str]
