"""Tenants' game profiles: what they override, and what their streams were pinned to."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from infra.schema.base import Base


class ProfileOverrideRow(Base):
    """A revision of a tenant's override of a game profile; an empty patch takes it back."""

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
