"""Keys that are bound to addresses and replaced by others, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MODE_BY_HINT = "CASE WHEN hint LIKE 'hl\\_test\\_%' THEN 'test' ELSE 'live' END"


def upgrade() -> None:
    extend_keys()
    create_audit_log()


def extend_keys() -> None:
    op.add_column("api_keys", sa.Column("mode", sa.Text(), nullable=True))
    # An UPDATE would see no row, since row-level security binds the owner too; a change of type
    # rewrites them all.
    op.execute(f"ALTER TABLE api_keys ALTER COLUMN mode TYPE text USING {MODE_BY_HINT}")
    op.alter_column("api_keys", "mode", nullable=False)
    op.add_column(
        "api_keys",
        sa.Column(
            "allowed_ips",
            sa.ARRAY(sa.Text()),
            server_default=sa.text("'{}'::text[]"),
            nullable=False,
        ),
    )
    op.add_column("api_keys", sa.Column("replaced_by", sa.Uuid(), nullable=True))
    op.create_check_constraint(op.f("ck_api_keys_mode"), "api_keys", "mode IN ('live', 'test')")
    op.create_foreign_key(
        op.f("fk_api_keys_api_keys"),
        "api_keys",
        "api_keys",
        ["tenant_id", "replaced_by"],
        ["tenant_id", "id"],
    )
    op.create_index(
        op.f("ix_api_keys_tenant_id_created_at_id"), "api_keys", ["tenant_id", "created_at", "id"]
    )


def create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.func.clock_timestamp(),
            nullable=False,
        ),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target_kind", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("client_address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_audit_log")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_audit_log_tenants"), ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "actor_kind IN ('api_key', 'operator', 'system')",
            name=op.f("ck_audit_log_actor_kind"),
        ),
    )
    for columns in (
        ("tenant_id", "at", "id"),
        ("tenant_id", "action", "at", "id"),
        ("tenant_id", "target_kind", "target_id", "at", "id"),
    ):
        op.create_index(op.f(f"ix_audit_log_{'_'.join(columns)}"), "audit_log", list(columns))
    protect("audit_log", grants="SELECT, INSERT")


def downgrade() -> None:
    op.drop_table("audit_log")
    op.drop_index(op.f("ix_api_keys_tenant_id_created_at_id"), table_name="api_keys")
    op.drop_constraint(op.f("fk_api_keys_api_keys"), "api_keys", type_="foreignkey")
    for column in ("replaced_by", "allowed_ips", "mode"):
        op.drop_column("api_keys", column)
