"""What came of a stream's gaps, where a recording holds them, and marks that were refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.row_security import APP_ROLE

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "streams",
        sa.Column("refused_marks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "gaps", sa.Column("status", sa.Text(), server_default=sa.text("'open'"), nullable=False)
    )
    op.add_column(
        "gaps", sa.Column("resolution", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column("gaps", sa.Column("anchor_at", sa.Double(), nullable=True))
    op.add_column("gaps", sa.Column("anchor_wall", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("ck_gaps_status"), "gaps", "status IN ('open','filled','lost')")
    op.execute(f"GRANT UPDATE ON gaps TO {APP_ROLE}")


def downgrade() -> None:
    op.execute(f"REVOKE UPDATE ON gaps FROM {APP_ROLE}")
    op.drop_constraint(op.f("ck_gaps_status"), "gaps")
    for column in ("anchor_wall", "anchor_at", "resolution", "status"):
        op.drop_column("gaps", column)
    op.drop_column("streams", "refused_marks")
