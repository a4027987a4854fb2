"""Batches of exports, and their event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_security import protect

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

EVENT_TYPES = (
    *("stream.started", "stream.ended", "stream.failed"),
    *("highlight.pending", "highlight.confirmed", "highlight.retracted"),
    *("clip.ready", "clip.failed", "export.ready", "export.failed"),
    *("usage.threshold", "endpoint.disabled", "endpoint.test"),
)
NEW_EVENT_TYPE = "export_batch.finished"
EVENT_COLUMNS = (("events", "type"), ("deliveries", "event_type"))


def upgrade() -> None:
    op.create_table(
        "export_batches",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("request", JSONB(), nullable=False),
        sa.Column("exports", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_export_batches")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_export_batches_tenants"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'ready', 'failed', 'cancelled')",
            name=op.f("ck_export_batches_status"),
        ),
    )
    op.create_index(
        op.f("ix_export_batches_tenant_id_created_at_id"),
        "export_batches",
        ["tenant_id", "created_at", "id"],
    )
    op.create_index(
        "ix_export_batches_unfinished",
        "export_batches",
        ["tenant_id", "updated_at"],
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    protect("export_batches", grants="SELECT, INSERT, UPDATE, DELETE")
    op.add_column("exports", sa.Column("batch_id", sa.Uuid(), nullable=True))
    op.add_column("exports", sa.Column("batch_number", sa.Integer(), nullable=True))
    op.create_foreign_key(
        op.f("fk_exports_export_batches"),
        "exports",
        "export_batches",
        ["tenant_id", "batch_id"],
        ["tenant_id", "id"],
        ondelete="CASCADE",
    )
    op.create_index(
        op.f("ix_exports_tenant_id_batch_id_batch_number"),
        "exports",
        ["tenant_id", "batch_id", "batch_number"],
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    for table, column in EVENT_COLUMNS:
        _limit(table, column, *EVENT_TYPES, NEW_EVENT_TYPE)


def downgrade() -> None:
    for table, column in (("deliveries", "event_type"), ("events", "type")):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")  # else no row is seen
        op.execute(f"DELETE FROM {table} WHERE {column} = '{NEW_EVENT_TYPE}'")  # noqa: S608
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        _limit(table, column, *EVENT_TYPES)
    op.drop_index(op.f("ix_exports_tenant_id_batch_id_batch_number"), "exports")
    op.drop_constraint(op.f("fk_exports_export_batches"), "exports")
    op.drop_column("exports", "batch_number")
    op.drop_column("exports", "batch_id")
    op.drop_table("export_batches")


def _limit(table: str, column: str, *values: str) -> None:
    name = f"ck_{table}_{column}"
    op.drop_constraint(op.f(name), table)
    allowed = ", ".join(f"'{value}'" for value in values)
    # Every row satisfies it: no scan of the table under an exclusive lock.
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IN ({allowed})) NOT VALID"
    )
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
