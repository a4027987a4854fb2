"""The table of exports."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Integer, PrimaryKeyConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.exports.models import ExportStatus
from infra.db.tables.base import Base, one_of


class Export(Base):
    """An export: what to make (`spec`), and the renditions that have finished (`results`)."""

    __tablename__ = "exports"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        one_of("status", ExportStatus),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "stream_id"),
        Index(
            "ix_exports_unfinished",
            "tenant_id",
            "updated_at",
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    stream_id: Mapped[UUID]
    status: Mapped[str]
    spec: Mapped[dict[str, Any]]
    results: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    message: Mapped[str] = mapped_column(server_default=text("''"))
    finished_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))
