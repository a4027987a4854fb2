"""API keys: found by their hash, and administered by their tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.keys import Scope
from infra.api_keys import KeyMode
from infra.db.keyset import Order, Position
from infra.db.tables import ApiKey, Tenant

NEWEST: Final = Order(column=ApiKey.created_at, id=ApiKey.id, descending=True)
_LOCK: Final = "api_keys"


async def ensure_tenant(session: AsyncSession, *, tenant_id: UUID, slug: str, name: str) -> None:
    """Insert the session's own tenant unless it is there."""
    await session.execute(
        insert(Tenant).values(id=tenant_id, slug=slug, name=name).on_conflict_do_nothing()
    )


async def create(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    name: str,
    key_hash: bytes,
    hint: str,
    scopes: Iterable[Scope],
    mode: KeyMode = KeyMode.LIVE,
    allowed_ips: Iterable[str] = (),
    expires_at: datetime | None = None,
    key_id: UUID | None = None,
) -> ApiKey:
    """Insert a key, under `key_id` or a new id."""
    key = ApiKey(
        tenant_id=tenant_id,
        id=key_id or uuid4(),
        name=name,
        hash=key_hash,
        hint=hint,
        mode=mode,
        scopes=sorted({scope.value for scope in scopes}),
        allowed_ips=list(allowed_ips),
        expires_at=expires_at,
    )
    session.add(key)
    await session.flush()
    await session.refresh(key)
    return key


async def find_usable(session: AsyncSession, *, key_hash: bytes) -> ApiKey | None:
    """Return the key with this hash, unless it is revoked or has expired (by the server's clock).

    The session may be `Database.key_session`, where no tenant is known yet.
    """
    found: ApiKey | None = await session.scalar(
        select(ApiKey).where(ApiKey.hash == key_hash, _usable(func.now()))
    )
    return found


async def get(session: AsyncSession, *, tenant_id: UUID, key_id: UUID) -> ApiKey | None:
    """Return a key, or None when the tenant has none of this id."""
    return await session.get(ApiKey, (tenant_id, key_id))


async def list_all(session: AsyncSession, *, tenant_id: UUID) -> list[ApiKey]:
    """Return a tenant's keys, oldest first, revoked ones included."""
    return list(
        await session.scalars(
            select(ApiKey)
            .where(ApiKey.tenant_id == tenant_id)
            .order_by(ApiKey.created_at, ApiKey.id)
        )
    )


async def list_page(
    session: AsyncSession, *, tenant_id: UUID, after: Position | None = None, limit: int = 50
) -> list[ApiKey]:
    """Return a tenant's keys, newest first, revoked ones included."""
    query = select(ApiKey).where(ApiKey.tenant_id == tenant_id)
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))


async def lock(session: AsyncSession, tenant_id: UUID) -> datetime:
    """Lock the tenant's keys until this transaction ends; return the time.

    Without it, two administrators could revoke each other's keys at once. The time is the
    server's, by which keys expire, and later than any change that this call waited for.
    """
    key = func.hashtextextended(f"{_LOCK}:{tenant_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def change(session: AsyncSession, key: ApiKey, values: Mapping[str, object]) -> None:
    """Write new values of a key's columns."""
    for name, value in values.items():
        setattr(key, name, value)
    await session.flush()


async def touch(
    session: AsyncSession, *, tenant_id: UUID, key_id: UUID, interval: timedelta
) -> None:
    """Note that a key was used, at most once per `interval`."""
    await session.execute(
        update(ApiKey)
        .where(
            ApiKey.tenant_id == tenant_id,
            ApiKey.id == key_id,
            or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - interval),
        )
        .values(last_used_at=func.now())
    )


def _usable(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    return and_(
        or_(ApiKey.revoked_at.is_(None), ApiKey.revoked_at > now),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
    )
