"""Requests to the API are a kind of usage."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES: Final = ("usage_events", "usage_hourly", "usage_budgets")
_BEFORE: Final = (
    *("analyzed_seconds", "clip_rendered", "clip_bytes"),
    *("gemini_tokens", "gemini_cost_usd", "webhook_delivery"),
)
_NEW: Final = "api_request"


def upgrade() -> None:
    for table in _TABLES:
        _accept(table, *_BEFORE, _NEW)


def downgrade() -> None:
    for table in _TABLES:
        # The owner is bound by the policies too, and here it has to see the rows of all tenants.
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"DELETE FROM {table} WHERE kind = '{_NEW}'")  # noqa: S608 - our own names
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        _accept(table, *_BEFORE)


def _accept(table: str, *kinds: str) -> None:
    name = op.f(f"ck_{table}_kind")
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"kind IN ({','.join(map(repr, kinds))})")
