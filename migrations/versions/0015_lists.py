"""Indexes by which every list reads few rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_highlights_lag",
        "highlights",
        ["tenant_id", sa.text("(created_at - peak_wall_clock)")],
        postgresql_where=sa.text("peak_wall_clock IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_highlights_lag", "highlights")
