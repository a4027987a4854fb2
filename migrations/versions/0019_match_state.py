"""State of the match at a highlight, as read on the screen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("highlights", sa.Column("match_state", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("highlights", "match_state")
