"""Publication policies of tenants, connections, streams and highlights, and reviews."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_security import APP_ROLE

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TABLES = ("tenants", "connections", "streams", "highlights")
STATUSES = "'awaiting', 'approved', 'rejected', 'expired'"


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("policy", JSONB(), nullable=True))
    op.execute(f"GRANT UPDATE (policy) ON tenants TO {APP_ROLE}")
    op.add_column("highlights", sa.Column("review", sa.Text(), nullable=True))
    op.add_column(
        "highlights", sa.Column("review_until", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("highlights", sa.Column("release", JSONB(), nullable=True))
    op.create_check_constraint(
        op.f("ck_highlights_review"), "highlights", f"review IN ({STATUSES})"
    )
    op.create_index(
        "ix_highlights_awaiting_review",
        "highlights",
        ["tenant_id", "review_until"],
        postgresql_where=sa.text("review = 'awaiting'"),
    )


def downgrade() -> None:
    op.drop_index("ix_highlights_awaiting_review", "highlights")
    op.drop_constraint(op.f("ck_highlights_review"), "highlights")
    for column in ("release", "review_until", "review"):
        op.drop_column("highlights", column)
    for table in reversed(TABLES):
        op.drop_column(table, "policy")
