"""What makes a table a tenant's: forced row-level security, and no more rights than needed."""

from __future__ import annotations

from typing import Final

from alembic import op

APP_ROLE: Final = "highlights_app"

# An unset setting reads '' on a reused connection, not NULL: without NULLIF the cast would fail,
# and with it the comparison is NULL and no row is seen.
CURRENT_TENANT: Final = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"
CURRENT_CONNECTION: Final = "NULLIF(current_setting('app.connection_id', true), '')::uuid"
CURRENT_WORKSPACE: Final = "NULLIF(current_setting('app.hms_workspace', true), '')"
CURRENT_KEY_HASH: Final = "decode(NULLIF(current_setting('app.key_hash', true), ''), 'hex')"


def protect(table: str, *, grants: str, tenant_column: str = "tenant_id") -> None:
    """Show and accept only the current tenant's rows of `table`, its owner's sessions included.

    Args:
        table: the table's name.
        grants: what the application may do, such as `SELECT, INSERT`; TRUNCATE is never among
            them, since it knows no policies.
        tenant_column: the column that names the tenant.
    """
    own = f"{tenant_column} = {CURRENT_TENANT}"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {table}_tenant ON {table} USING ({own}) WITH CHECK ({own})")
    op.execute(f"GRANT {grants} ON {table} TO {APP_ROLE}")
