"""Whose data there is: the ids of all tenants, for work that goes round them one by one."""

from __future__ import annotations

from alembic import op

from migrations.row_security import APP_ROLE

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    enumerate_tenants()


def enumerate_tenants() -> None:
    # The function runs as the owner of the tables, whom FORCE binds to the policies too, so that a
    # policy for that role alone lets it look. The application is no member of that role: of other
    # tenants it learns ids, which are no secret, and never a name.
    op.execute(
        "CREATE POLICY tenants_enumerated ON tenants FOR SELECT TO CURRENT_USER USING (true)"
    )
    op.execute(
        "CREATE FUNCTION tenant_ids() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER "
        "SET search_path = pg_catalog, pg_temp "
        "AS $$ SELECT id FROM public.tenants ORDER BY id $$"
    )
    op.execute("REVOKE ALL ON FUNCTION tenant_ids() FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION tenant_ids() TO {APP_ROLE}")


def downgrade() -> None:
    op.execute("DROP FUNCTION tenant_ids()")
    op.execute("DROP POLICY tenants_enumerated ON tenants")
