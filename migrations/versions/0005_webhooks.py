"""The outbox of events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import protect

revision = "0005"
down_revision = "0002"
branch_labels = None
depends_on = None

EVENT_TYPES = (
    *("stream.started", "stream.ended", "stream.failed"),
    *("highlight.pending", "highlight.confirmed", "highlight.retracted"),
    *("clip.ready", "clip.failed", "usage.threshold", "endpoint.disabled", "endpoint.test"),
)


def quoted(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def upgrade() -> None:
    create_events()


def create_events() -> None:
    op.create_table(
        "events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("ordering_key", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_events")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_events_tenants"), ondelete="CASCADE"
        ),
        sa.CheckConstraint(f"type IN ({quoted(EVENT_TYPES)})", name=op.f("ck_events_type")),
    )
    op.create_index(
        op.f("ix_events_tenant_id_created_at_id"), "events", ["tenant_id", "created_at", "id"]
    )
    for relay in ("dispatched", "published"):
        op.create_index(
            op.f(f"ix_events_un{relay}"),
            "events",
            ["tenant_id", "position"],
            postgresql_where=sa.text(f"{relay}_at IS NULL"),
        )
    protect("events", grants="SELECT, INSERT, UPDATE, DELETE")


def downgrade() -> None:
    op.drop_table("events")
