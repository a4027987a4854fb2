"""Old inbound events are found quickly, and old audit entries can be deleted, young ones never."""

from __future__ import annotations

from alembic import op

from migrations.row_security import APP_ROLE, CURRENT_TENANT

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_INDEX = "ix_inbound_events_tenant_id_received_at"
_DELETE = f"""
    CREATE FUNCTION delete_old_audit_entries(age interval, most integer) RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
        WITH gone AS (
            DELETE FROM public.audit_log
            WHERE tenant_id = {CURRENT_TENANT} AND id IN (
                SELECT id FROM public.audit_log
                WHERE tenant_id = {CURRENT_TENANT}
                    AND at < now() - greatest(age, interval '90 days')
                ORDER BY at LIMIT most
            )
            RETURNING 1
        )
        SELECT count(*)::integer FROM gone
    $$
"""  # noqa: S608 - constants of our own


def upgrade() -> None:
    op.create_index(op.f(_INDEX), "inbound_events", ["tenant_id", "received_at"])
    # As the owner, since the application has no right to delete entries; of its tenant only.
    op.execute(_DELETE)
    op.execute("REVOKE ALL ON FUNCTION delete_old_audit_entries(interval, integer) FROM PUBLIC")
    op.execute(
        f"GRANT EXECUTE ON FUNCTION delete_old_audit_entries(interval, integer) TO {APP_ROLE}"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION delete_old_audit_entries(interval, integer)")
    op.drop_index(op.f(_INDEX), "inbound_events")
