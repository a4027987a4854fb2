"""What the catalog says of a connection: its role, its encryption, the protection of tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from infra.db.engine import asyncpg_url
from infra.db.tls import verifies_server

_CONNECT_TIMEOUT: Final = 5.0

_ACCESS: Final = text(
    """
    SELECT current_user AS role, rolsuper, rolbypassrls, clock_timestamp() AS clock,
      COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted
    FROM pg_roles
    WHERE rolname = current_user
    """
)
_TABLES: Final = """
    SELECT class.relname
    FROM pg_class class
    JOIN pg_namespace space ON space.oid = class.relnamespace AND space.nspname = 'public'
    WHERE class.relkind IN ('r', 'p') AND ({condition})
    ORDER BY class.relname
    """
_OWNED: Final = text(_TABLES.format(condition="pg_has_role(class.relowner, 'MEMBER')"))
_UNPROTECTED: Final = text(
    _TABLES.format(
        condition="""
        (class.relname = 'tenants' OR EXISTS (
          SELECT FROM pg_attribute
          WHERE attrelid = class.oid AND attname = 'tenant_id' AND NOT attisdropped
        ))
        AND NOT (
          class.relrowsecurity AND class.relforcerowsecurity
          AND EXISTS (SELECT FROM pg_policy WHERE polrelid = class.oid)
        )
        """
    )
)


@dataclass(frozen=True)
class DatabaseAccess:
    """The rights of a role, as far as they matter for the separation of tenants.

    Attributes:
        role: its name.
        is_encrypted: True if the connection uses TLS.
        is_verified: True if the server's certificate is verified as well.
        is_superuser: True if no rule binds it.
        bypasses_row_security: True if policies do not bind it.
        owned: tables that it owns, alone or as a member of the owner's role.
        unprotected: tables of tenants without a forced policy.
        clock_offset: seconds by which the server's clock is ahead of ours.
    """

    role: str
    is_encrypted: bool
    is_verified: bool
    is_superuser: bool
    bypasses_row_security: bool
    owned: tuple[str, ...]
    unprotected: tuple[str, ...]
    clock_offset: float


async def inspect_access(url: str) -> DatabaseAccess:
    """Return the rights that a connection to `url` has.

    Raises:
        OSError, SQLAlchemyError: the server cannot be reached, or refuses.
    """
    engine = create_async_engine(
        asyncpg_url(url), poolclass=NullPool, connect_args={"timeout": _CONNECT_TIMEOUT}
    )
    try:
        async with engine.connect() as connection:
            before = datetime.now(UTC)
            row = (await connection.execute(_ACCESS)).one()
            now = before + (datetime.now(UTC) - before) / 2
            owned = (await connection.execute(_OWNED)).scalars()
            unprotected = (await connection.execute(_UNPROTECTED)).scalars()
            return DatabaseAccess(
                role=row.role,
                is_encrypted=row.encrypted,
                is_verified=row.encrypted and verifies_server(url),
                is_superuser=row.rolsuper,
                bypasses_row_security=row.rolbypassrls,
                owned=tuple(owned),
                unprotected=tuple(unprotected),
                clock_offset=(row.clock - now).total_seconds(),
            )
    finally:
        await engine.dispose()
