"""Tenants: API keys, idempotency keys, audit log, usage, and game profiles."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.tenants.audit import ActorKind
from domain.tenants.usage import PlanName, UsageKind
from infra.api_keys import KeyMode
from infra.db.tables.base import Base, one_of


class Tenant(Base):
    """A customer; `plan` is NULL for the installation's default plan."""

    __tablename__ = "tenants"
    __table_args__ = (one_of("plan", PlanName),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    plan: Mapped[str | None]
    policy: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class EmbedPolicy(Base):
    """Who may embed a tenant's highlights; without a row everyone may.

    Without `origins` any page may embed them.
    """

    __tablename__ = "embed_policies"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[UUID]
    enabled: Mapped[bool]
    origins: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    """A key by its keyed hash; the key itself is never stored.

    The index on `hash` alone serves the one look-up made before a tenant is known. With
    `allowed_ips`, networks in CIDR notation, it works from those only.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["tenant_id", "replaced_by"], ["api_keys.tenant_id", "api_keys.id"]),
        UniqueConstraint("tenant_id", "hash"),
        one_of("mode", KeyMode),
        Index(None, "hash"),
        Index(None, "tenant_id", "created_at", "id"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    name: Mapped[str]
    hash: Mapped[bytes]
    hint: Mapped[str]
    mode: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    allowed_ips: Mapped[list[str]] = mapped_column(
        ARRAY(Text()), server_default=text("'{}'::text[]")
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    replaced_by: Mapped[UUID | None]


class IdempotencyKey(Base):
    """A request with a client's idempotency key, and its response once there is one.

    `claimed_until` is when an unfinished request is taken for dead, so that a retry may finish
    it; `resource_id` is what it made.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "key"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        Index(None, "tenant_id", "created_at"),
    )

    tenant_id: Mapped[UUID]
    key: Mapped[str]
    request_hash: Mapped[bytes]
    resource_id: Mapped[UUID]
    claimed_until: Mapped[datetime]
    response_status: Mapped[int | None] = mapped_column(SmallInteger())
    response_headers: Mapped[dict[str, Any] | None]
    response_body: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AuditEntry(Base):
    """One change, written in its transaction; the application may add entries and read them.

    The actor is no foreign key, since an entry stays true whatever becomes of the key.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("actor_kind", ActorKind),
        Index(None, "tenant_id", "at", "id"),
        Index(None, "tenant_id", "action", "at", "id"),
        Index(None, "tenant_id", "target_kind", "target_id", "at", "id"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    # Not now(), which is the transaction's: entries of one transaction keep their order.
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    target_kind: Mapped[str]
    target_id: Mapped[str]
    details: Mapped[dict[str, Any]]
    request_id: Mapped[str | None]
    client_address: Mapped[str | None]


class UsageEventRow(Base):
    """A metered event; its id is derived from what happened, so that a retry is the same event.

    Usage outlives its stream, so neither table refers to streams;
    `NO_STREAM` (domain/tenants/usage.py) stands for none, since a key takes no NULL.
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
    """A monthly budget of one kind of usage; it causes notifications, never refusals.

    `told_month` and `told_percent` are the last threshold that was notified.
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


class ProfileOverrideRow(Base):
    """A revision of a tenant's override of a game profile; an empty patch removes the override."""

    __tablename__ = "profile_overrides"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "profile_id", "revision"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["tenant_id", "created_by"], ["api_keys.tenant_id", "api_keys.id"]),
        CheckConstraint("revision > 0", name="revision"),
    )

    tenant_id: Mapped[UUID]
    profile_id: Mapped[str]
    revision: Mapped[int]
    patch: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[UUID | None]


class PinnedProfileRow(Base):
    """A game profile, complete, that a stream was started with; it never changes."""

    __tablename__ = "pinned_profiles"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "profile_id", "version"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[UUID]
    profile_id: Mapped[str]
    version: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class TasteRow(Base):
    """What a tenant's feedback on highlights of one profile says; `learned` lacks the version.

    Feedback from before `reset_at` is not learned from.
    """

    __tablename__ = "tastes"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "profile_id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[UUID]
    profile_id: Mapped[str]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    version: Mapped[int] = mapped_column(server_default=text("0"))
    learned: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    reset_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
