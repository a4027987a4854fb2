"""100ms connections of tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.keyset import Order, Position
from infra.db.tables import Connection

NEWEST: Final = Order(column=Connection.created_at, id=Connection.id, descending=True)


async def create(session: AsyncSession, *, tenant_id: UUID, **values: Any) -> Connection:  # noqa: ANN401
    """Insert a connection; `values` are its columns."""
    connection = Connection(tenant_id=tenant_id, **values)
    session.add(connection)
    await session.flush()
    await session.refresh(connection)
    return connection


async def get(session: AsyncSession, *, tenant_id: UUID, connection_id: UUID) -> Connection | None:
    """Return a connection, or None when the tenant has none of this id."""
    return await session.get(Connection, (tenant_id, connection_id))


async def find(session: AsyncSession, *, connection_id: UUID) -> Connection | None:
    """Return the connection of this id in `Database.connection_session`, without its tenant."""
    found: Connection | None = await session.scalar(
        select(Connection).where(Connection.id == connection_id)
    )
    return found


async def find_by_workspace(session: AsyncSession, *, workspace: str) -> list[Connection]:
    """Return the connections of a 100ms workspace in `Database.workspace_session`, oldest first.

    Only 100ms knows who owns an account, so tenants may name one another's: the checks of the
    connection decide.
    """
    return list(
        await session.scalars(
            select(Connection)
            .where(or_(Connection.account_id == workspace, Connection.app_id == workspace))
            .order_by(Connection.created_at, Connection.id)
        )
    )


async def list_page(
    session: AsyncSession, *, tenant_id: UUID, after: Position | None = None, limit: int = 50
) -> list[Connection]:
    """Return connections, newest first."""
    query = select(Connection).where(Connection.tenant_id == tenant_id)
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))


async def list_managed(session: AsyncSession, *, tenant_id: UUID) -> list[Connection]:
    """Return the connections whose live streams can be listed at 100ms."""
    return list(
        await session.scalars(
            select(Connection)
            .where(
                Connection.tenant_id == tenant_id,
                Connection.management_access_key.is_not(None),
                Connection.management_secret.is_not(None),
            )
            .order_by(Connection.created_at, Connection.id)
        )
    )


async def update(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, values: dict[str, Any]
) -> Connection | None:
    """Change columns of a connection; return it, or None when there is none."""
    connection = await session.scalar(
        select(Connection)
        .where(Connection.tenant_id == tenant_id, Connection.id == connection_id)
        .with_for_update()
    )
    if connection is None:
        return None
    for name, value in values.items():
        setattr(connection, name, value)
    connection.revision += 1
    connection.updated_at = func.now()
    await session.flush()
    await session.refresh(connection)
    return connection


async def rotate(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    header_hash: bytes,
    signing_secret: bytes,
    previous_until: datetime,
) -> Connection | None:
    """Replace both secrets; the previous ones stay valid until `previous_until`."""
    current = await session.scalar(
        select(Connection)
        .where(Connection.tenant_id == tenant_id, Connection.id == connection_id)
        .with_for_update()
    )
    if current is None:
        return None
    return await update(
        session,
        tenant_id=tenant_id,
        connection_id=connection_id,
        values={
            "header_hash_previous": current.header_hash,
            "signing_secret_previous": current.signing_secret,
            "header_hash": header_hash,
            "signing_secret": signing_secret,
            "previous_until": previous_until,
        },
    )


async def remove(session: AsyncSession, *, tenant_id: UUID, connection_id: UUID) -> bool:
    """Delete a connection with its events and beams. Return True if it existed."""
    found = await session.scalar(
        delete(Connection)
        .where(Connection.tenant_id == tenant_id, Connection.id == connection_id)
        .returning(Connection.id)
    )
    return found is not None
