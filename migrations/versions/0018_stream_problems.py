"""Problems of a stream while they last, gaps that our own store made, and clips under way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

REASONS = ("rolled_off", "not_found", "unreachable", "corrupt", "too_large", "declared")


def upgrade() -> None:
    op.add_column(
        "streams",
        sa.Column(
            "problems",
            JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )
    _limit_reasons(*REASONS, "not_stored")
    op.create_index(
        "ix_clips_rendering",
        "clips",
        ["tenant_id", "updated_at"],
        postgresql_where=sa.text("status = 'rendering'"),
    )


def downgrade() -> None:
    op.drop_index("ix_clips_rendering", "clips")
    op.execute("ALTER TABLE gaps NO FORCE ROW LEVEL SECURITY")  # else the owner updates no row
    op.execute("UPDATE gaps SET reason = 'unreachable' WHERE reason = 'not_stored'")
    op.execute("ALTER TABLE gaps FORCE ROW LEVEL SECURITY")
    _limit_reasons(*REASONS)
    op.drop_column("streams", "problems")


def _limit_reasons(*reasons: str) -> None:
    allowed = ", ".join(f"'{reason}'" for reason in reasons)
    op.drop_constraint(op.f("ck_gaps_reason"), "gaps")
    # Every row satisfies it: no scan of the table under an exclusive lock.
    op.execute(
        f"ALTER TABLE gaps ADD CONSTRAINT ck_gaps_reason CHECK (reason IN ({allowed})) NOT VALID"
    )
    op.execute("ALTER TABLE gaps VALIDATE CONSTRAINT ck_gaps_reason")
