"""Tenants' overrides of game profiles, the profiles that streams were started with, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import protect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profile_overrides",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("patch", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant_id", "profile_id", "revision", name=op.f("pk_profile_overrides")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_profile_overrides_tenants"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "created_by"],
            ["api_keys.tenant_id", "api_keys.id"],
            name=op.f("fk_profile_overrides_api_keys"),
        ),
        sa.CheckConstraint("revision > 0", name=op.f("ck_profile_overrides_revision")),
    )
    protect("profile_overrides", grants="SELECT, INSERT")
    op.create_table(
        "pinned_profiles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "profile_id", "version", name=op.f("pk_pinned_profiles")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_pinned_profiles_tenants"),
            ondelete="CASCADE",
        ),
    )
    protect("pinned_profiles", grants="SELECT, INSERT")
    op.add_column("streams", sa.Column("profile_match", postgresql.JSONB(), nullable=True))
    op.add_column(
        "highlights",
        sa.Column(
            "corrections", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
    )


def downgrade() -> None:
    op.drop_column("highlights", "corrections")
    op.drop_column("streams", "profile_match")
    op.drop_table("pinned_profiles")
    op.drop_table("profile_overrides")
