"""Embedded players with counted plays, and an index by which a tenant's events are followed."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from migrations.row_security import protect

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_METERED: Final = ("usage_events", "usage_hourly", "usage_budgets")
_BEFORE: Final = (
    *("analyzed_seconds", "clip_rendered", "clip_bytes", "gemini_tokens", "gemini_cost_usd"),
    *("webhook_delivery", "api_request", "export_rendered", "export_bytes", "feed_event"),
)
_NEW: Final = "embed_play"


def upgrade() -> None:
    for table in _METERED:
        _accept(table, *_BEFORE, _NEW)
    op.create_table(
        "embed_policies",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("origins", ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_embed_policies")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_embed_policies_tenants"),
            ondelete="CASCADE",
        ),
    )
    protect("embed_policies", grants="SELECT, INSERT, UPDATE")
    op.create_index(op.f("ix_events_tenant_id_position"), "events", ["tenant_id", "position"])


def downgrade() -> None:
    op.drop_index(op.f("ix_events_tenant_id_position"), "events")
    op.drop_table("embed_policies")
    for table in _METERED:
        # The owner is bound by the policies too, and here it has to see the rows of all tenants.
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"DELETE FROM {table} WHERE kind = '{_NEW}'")  # noqa: S608 - our own names
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        _accept(table, *_BEFORE)


def _accept(table: str, *kinds: str) -> None:
    name = op.f(f"ck_{table}_kind")
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"kind IN ({','.join(map(repr, kinds))})")
