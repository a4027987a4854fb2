"""Events of a tenant's feed, their subjects, and the feed clock of a stream."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_security import protect

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

EVENT_TYPES = (
    *("stream.started", "stream.ended", "stream.failed"),
    *("highlight.pending", "highlight.confirmed", "highlight.retracted"),
    *("clip.ready", "clip.failed", "usage.threshold", "endpoint.disabled", "endpoint.test"),
    *("export.ready", "export.failed", "export_batch.finished"),
)
NEW_EVENT_TYPES = ("highlight.relabeled", "subject.highlight")
EVENT_COLUMNS = (("events", "type"), ("deliveries", "event_type"))
USAGE_KINDS = (
    *("analyzed_seconds", "clip_rendered", "clip_bytes", "gemini_tokens", "gemini_cost_usd"),
    *("webhook_delivery", "api_request", "export_rendered", "export_bytes"),
)
NEW_USAGE_KINDS = ("feed_event",)
USAGE_TABLES = ("usage_events", "usage_hourly", "usage_budgets")
KINDS = (
    *("score", "odds", "suspended", "reopened", "settled", "cash_out", "review", "period"),
    "custom",
)
OUTCOMES = (
    *("waiting", "raised", "marked", "linked", "unused", "too_late", "unplaced", "retracted"),
)


def upgrade() -> None:
    op.create_table(
        "stream_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("market", sa.Text(), nullable=True),
        sa.Column("retracts", sa.Text(), nullable=True),
        sa.Column("content", JSONB(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("place", sa.Double(), nullable=True),
        sa.Column("error", sa.Double(), nullable=True),
        sa.Column("highlight_id", sa.Uuid(), nullable=True),
        sa.Column("is_base", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "received_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_stream_events")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "stream_id"],
            ["streams.tenant_id", "streams.id"],
            name=op.f("fk_stream_events_streams"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(f"kind IN ({_quoted(KINDS)})", name=op.f("ck_stream_events_kind")),
        sa.CheckConstraint(
            f"outcome IN ({_quoted(OUTCOMES)})", name=op.f("ck_stream_events_outcome")
        ),
    )
    for columns in (
        ["tenant_id", "stream_id", "received_at", "id"],
        ["tenant_id", "stream_id", "outcome", "place"],
        ["tenant_id", "received_at"],
    ):
        op.create_index(op.f(f"ix_stream_events_{'_'.join(columns)}"), "stream_events", columns)
    for column in ("highlight_id", "market", "retracts"):
        others = ["stream_id"] if column == "retracts" else []
        columns = ["tenant_id", *others, column]
        op.create_index(
            op.f(f"ix_stream_events_{'_'.join(columns)}"),
            "stream_events",
            columns,
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_table(
        "event_subjects",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "event_id", "subject", name=op.f("pk_event_subjects")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "event_id"],
            ["stream_events.tenant_id", "stream_events.id"],
            name=op.f("fk_event_subjects_stream_events"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        op.f("ix_event_subjects_tenant_id_subject"), "event_subjects", ["tenant_id", "subject"]
    )
    for table in ("stream_events", "event_subjects"):
        protect(table, grants="SELECT, INSERT, UPDATE, DELETE")
    op.add_column("streams", sa.Column("feed_clock", JSONB(), nullable=True))
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
    op.drop_column("streams", "feed_clock")
    op.drop_table("event_subjects")
    op.drop_table("stream_events")


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
