"""Default branding of tenants, and reels of several streams."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from migrations.row_security import protect

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "branding",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", JSONB(), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_branding")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_branding_tenants"), ondelete="CASCADE"
        ),
    )
    protect("branding", grants="SELECT, INSERT, UPDATE")
    op.add_column(
        "exports",
        sa.Column(
            "other_stream_ids",
            ARRAY(sa.Uuid()),
            server_default=sa.text("'{}'::uuid[]"),
            nullable=False,
        ),
    )
    op.create_index(
        "ix_exports_other_stream_ids",
        "exports",
        ["other_stream_ids"],
        postgresql_using="gin",
        postgresql_where=sa.text("other_stream_ids <> '{}'"),
    )


def downgrade() -> None:
    op.drop_index("ix_exports_other_stream_ids", "exports")
    op.drop_column("exports", "other_stream_ids")
    op.drop_table("branding")
