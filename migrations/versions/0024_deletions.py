"""Proof of deleted streams, and legal holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_security import protect

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

HELD = ("streams", "highlights")


def upgrade() -> None:
    op.create_table(
        "deletions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("proof", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_deletions")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_deletions_tenants"), ondelete="CASCADE"
        ),
        sa.CheckConstraint("status IN ('running', 'done')", name=op.f("ck_deletions_status")),
    )
    op.create_index(
        op.f("ix_deletions_tenant_id_created_at_id"), "deletions", ["tenant_id", "created_at", "id"]
    )
    protect("deletions", grants="SELECT, INSERT, UPDATE")
    for table in HELD:
        op.add_column(table, sa.Column("legal_hold", JSONB(), nullable=True))
    op.create_index(
        "ix_highlights_held",
        "highlights",
        ["tenant_id", "stream_id"],
        postgresql_where=sa.text("legal_hold IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_highlights_held", "highlights")
    for table in HELD:
        op.drop_column(table, "legal_hold")
    op.drop_table("deletions")
