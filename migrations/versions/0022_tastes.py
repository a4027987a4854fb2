"""What each tenant's feedback says about the next highlights."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_security import protect

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tastes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("learned", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("reset_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant_id", "profile_id", name=op.f("pk_tastes")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_tastes_tenants"), ondelete="CASCADE"
        ),
    )
    protect("tastes", grants="SELECT, INSERT, UPDATE")
    op.create_index(
        op.f("ix_highlight_feedback_tenant_id_updated_at_id"),
        "highlight_feedback",
        ["tenant_id", "updated_at", "id"],
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_highlight_feedback_tenant_id_updated_at_id"), "highlight_feedback")
    op.drop_table("tastes")
