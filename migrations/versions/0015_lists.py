"""Indexes by which every list reads few rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEXES = {
    "streams": (("tenant_id", "game", "created_at", "id"),),
    "inbound_events": (("tenant_id", "connection_id", "position"),),
    "deliveries": (
        ("tenant_id", "event_type", "created_at", "id"),
        ("tenant_id", "endpoint_id", "status", "created_at", "id"),
    ),
}


def upgrade() -> None:
    op.create_index(
        "ix_highlights_lag",
        "highlights",
        ["tenant_id", sa.text("(created_at - peak_wall_clock)")],
        postgresql_where=sa.text("peak_wall_clock IS NOT NULL"),
    )
    for table, column_lists in INDEXES.items():
        for columns in column_lists:
            op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def downgrade() -> None:
    for table, column_lists in INDEXES.items():
        for columns in column_lists:
            op.drop_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table)
    op.drop_index("ix_highlights_lag", "highlights")
