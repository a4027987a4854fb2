"""The tables of exports and of their batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from domain.exports.models import ExportStatus
from infra.db.tables.base import Base, one_of


class BrandingRow(Base):
    """A tenant's default branding; `version` rises with each change, a deletion included."""

    __tablename__ = "branding"
    __table_args__ = (ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    document: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ExportBatch(Base):
    """A batch of exports: what was asked for (`request`), and how many exports it has."""

    __tablename__ = "export_batches"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("status", ExportStatus),
        Index(None, "tenant_id", "created_at", "id"),
        Index(
            "ix_export_batches_unfinished",
            "tenant_id",
            "updated_at",
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    status: Mapped[str]
    request: Mapped[dict[str, Any]]
    exports: Mapped[int]
    message: Mapped[str] = mapped_column(server_default=text("''"))
    finished_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))


class Export(Base):
    """An export: what to make (`spec`), and the renditions that have finished (`results`).

    `batch_id` and `batch_number`, from 1, are there if it was asked for in a batch. A reel may show
    other streams too; deleting one of them deletes it.
    """

    __tablename__ = "exports"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "batch_id"],
            ["export_batches.tenant_id", "export_batches.id"],
            ondelete="CASCADE",
        ),
        one_of("status", ExportStatus),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "stream_id"),
        Index(
            None,
            "tenant_id",
            "batch_id",
            "batch_number",
            postgresql_where=text("batch_id IS NOT NULL"),
        ),
        Index(
            "ix_exports_other_stream_ids",
            "other_stream_ids",
            postgresql_using="gin",
            postgresql_where=text("other_stream_ids <> '{}'"),
        ),
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
    batch_id: Mapped[UUID | None]
    batch_number: Mapped[int | None]
    other_stream_ids: Mapped[list[UUID]] = mapped_column(
        ARRAY(Uuid()), server_default=text("'{}'::uuid[]")
    )
