"""Tenants, their keys, and their repeated requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from domain.plans import PlanName
from infra.api_keys import KeyMode
from infra.schema.base import Base, one_of


class Tenant(Base):
    """A customer; without a plan of its own it has the installation's default plan."""

    __tablename__ = "tenants"
    __table_args__ = (one_of("plan", PlanName),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    plan: Mapped[str | None]


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
    """A request made under a client's own key, and its answer once there is one.

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
