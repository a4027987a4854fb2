"""The plan of each tenant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.row_security import APP_ROLE

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tenants", sa.Column("plan", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_tenants_plan"), "tenants", "plan IN ('free', 'starter', 'pro', 'enterprise')"
    )
    # Of a tenant's row only the plan changes. Locking the row needs this right, too.
    op.execute(f"GRANT UPDATE (plan) ON tenants TO {APP_ROLE}")


def downgrade() -> None:
    op.drop_column("tenants", "plan")
