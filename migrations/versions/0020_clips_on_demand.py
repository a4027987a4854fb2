"""Clips on demand, which have no highlight, and how long the media of an ended stream is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("clips", "highlight_id", nullable=True)
    op.add_column(
        "clips", sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    # Every clip has its highlight's stream: no scan of the table under an exclusive lock.
    op.execute(
        "ALTER TABLE clips ADD CONSTRAINT fk_clips_streams FOREIGN KEY (tenant_id, stream_id) "
        "REFERENCES streams (tenant_id, id) ON DELETE CASCADE NOT VALID"
    )
    op.execute("ALTER TABLE clips VALIDATE CONSTRAINT fk_clips_streams")
    op.create_index(
        op.f("ix_clips_tenant_id_stream_id_created_at_id"),
        "clips",
        ["tenant_id", "stream_id", "created_at", "id"],
    )
    op.create_index(
        "ix_clips_on_demand",
        "clips",
        ["tenant_id", "created_at"],
        postgresql_where=sa.text("highlight_id IS NULL"),
    )
    op.add_column("streams", sa.Column("media_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_streams_media_until",
        "streams",
        ["tenant_id", "media_until"],
        postgresql_where=sa.text("media_until IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_streams_media_until", "streams")
    op.drop_column("streams", "media_until")
    op.drop_index("ix_clips_on_demand", "clips")
    op.drop_index(op.f("ix_clips_tenant_id_stream_id_created_at_id"), "clips")
    op.drop_constraint(op.f("fk_clips_streams"), "clips", type_="foreignkey")
    op.drop_column("clips", "title")
    op.execute("ALTER TABLE clips NO FORCE ROW LEVEL SECURITY")  # else the owner deletes no row
    op.execute("DELETE FROM clips WHERE highlight_id IS NULL")
    op.execute("ALTER TABLE clips FORCE ROW LEVEL SECURITY")
    op.alter_column("clips", "highlight_id", nullable=False)
