"""Which tenants have events that no broker has confirmed, for the relay that publishes them."""

from __future__ import annotations

from alembic import op

from migrations.row_security import APP_ROLE

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # As with tenant_ids(): the function runs as the tables' owner, for whom alone the policy is,
    # and gives ids only. It hops from tenant to tenant along the index on what is unpublished:
    # DISTINCT would read all of a backlog, in every round that works it off.
    op.execute(
        "CREATE POLICY events_to_publish ON events FOR SELECT TO CURRENT_USER"
        " USING (published_at IS NULL)"
    )
    op.execute(
        "CREATE FUNCTION tenants_to_publish_for() RETURNS SETOF uuid LANGUAGE sql STABLE "
        "SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ "
        "WITH RECURSIVE hop AS ("
        " (SELECT tenant_id FROM public.events WHERE published_at IS NULL"
        "  ORDER BY tenant_id LIMIT 1)"
        " UNION ALL"
        " SELECT (SELECT tenant_id FROM public.events"
        "  WHERE published_at IS NULL AND tenant_id > hop.tenant_id ORDER BY tenant_id LIMIT 1)"
        " FROM hop WHERE hop.tenant_id IS NOT NULL"
        ") SELECT tenant_id FROM hop WHERE tenant_id IS NOT NULL $$"
    )
    op.execute("REVOKE ALL ON FUNCTION tenants_to_publish_for() FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION tenants_to_publish_for() TO {APP_ROLE}")


def downgrade() -> None:
    op.execute("DROP FUNCTION tenants_to_publish_for()")
    op.execute("DROP POLICY events_to_publish ON events")
