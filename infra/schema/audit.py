"""The audit log of each tenant."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from domain.audit import ActorKind
from infra.schema.base import Base, one_of


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
