"""The job of each beam, by which 100ms may list it, and the key of one that was listed first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COLUMNS = ("job_id", "told_as")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("beams", sa.Column(name, sa.Text(), nullable=True))
        op.create_index(
            op.f(f"ix_beams_tenant_id_connection_id_{name}"),
            "beams",
            ["tenant_id", "connection_id", name],
        )


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("beams", name)
