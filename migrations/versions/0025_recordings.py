"""Recordings that are analyzed as they stand, and how long they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "streams",
        sa.Column("is_recording", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("streams", sa.Column("duration", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("streams", "duration")
    op.drop_column("streams", "is_recording")
