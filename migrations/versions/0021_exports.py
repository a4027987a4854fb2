"""Exports, their events, and what is metered of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_security import protect

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

EVENT_TYPES = (
    *("stream.started", "stream.ended", "stream.failed"),
    *("highlight.pending", "highlight.confirmed", "highlight.retracted"),
    *("clip.ready", "clip.failed", "usage.threshold", "endpoint.disabled", "endpoint.test"),
)
NEW_EVENT_TYPES = ("export.ready", "export.failed")
USAGE_KINDS = (
    *("analyzed_seconds", "clip_rendered", "clip_bytes", "gemini_tokens", "gemini_cost_usd"),
    *("webhook_delivery", "api_request"),
)
NEW_USAGE_KINDS = ("export_rendered", "export_bytes")
EVENT_COLUMNS = (("events", "type"), ("deliveries", "event_type"))
USAGE_TABLES = ("usage_events", "usage_hourly", "usage_budgets")


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("spec", JSONB(), nullable=False),
        sa.Column("results", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_exports")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "stream_id"],
            ["streams.tenant_id", "streams.id"],
            name=op.f("fk_exports_streams"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'ready', 'failed', 'cancelled')",
            name=op.f("ck_exports_status"),
        ),
    )
    op.create_index(
        op.f("ix_exports_tenant_id_created_at_id"), "exports", ["tenant_id", "created_at", "id"]
    )
    op.create_index(op.f("ix_exports_tenant_id_stream_id"), "exports", ["tenant_id", "stream_id"])
    op.create_index(
        "ix_exports_unfinished",
        "exports",
        ["tenant_id", "updated_at"],
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    protect("exports", grants="SELECT, INSERT, UPDATE, DELETE")
    for table, column in EVENT_COLUMNS:
        _limit(table, column, *EVENT_TYPES, *NEW_EVENT_TYPES)
    for table in USAGE_TABLES:
        _limit(table, "kind", *USAGE_KINDS, *NEW_USAGE_KINDS)


def downgrade() -> None:
    for table, column in (("deliveries", "event_type"), ("events", "type")):
        _delete(table, column, NEW_EVENT_TYPES)
        _limit(table, column, *EVENT_TYPES)
    for table in USAGE_TABLES:
        _delete(table, "kind", NEW_USAGE_KINDS)
        _limit(table, "kind", *USAGE_KINDS)
    op.drop_table("exports")


def _delete(table: str, column: str, values: tuple[str, ...]) -> None:
    op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")  # else the owner sees no row
    op.execute(f"DELETE FROM {table} WHERE {column} IN ({_quoted(values)})")  # noqa: S608
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def _limit(table: str, column: str, *values: str) -> None:
    name = f"ck_{table}_{column}"
    op.drop_constraint(op.f(name), table)
    # Every row satisfies it: no scan of the table under an exclusive lock.
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} "
        f"CHECK ({column} IN ({_quoted(values)})) NOT VALID"
    )
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def _quoted(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
