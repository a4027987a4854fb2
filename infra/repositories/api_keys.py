"""API keys by their hash."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.access import Scope
from infra.schema import ApiKey, Tenant


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
    expires_at: datetime | None = None,
) -> ApiKey:
    """Insert a key."""
    key = ApiKey(
        tenant_id=tenant_id,
        id=uuid4(),
        name=name,
        hash=key_hash,
        hint=hint,
        scopes=sorted(scope.value for scope in scopes),
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
        select(ApiKey).where(
            ApiKey.hash == key_hash,
            or_(ApiKey.revoked_at.is_(None), ApiKey.revoked_at > func.now()),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
        )
    )
    return found


async def list_all(session: AsyncSession, *, tenant_id: UUID) -> list[ApiKey]:
    """Return a tenant's keys, oldest first, revoked ones included."""
    return list(
        await session.scalars(
            select(ApiKey)
            .where(ApiKey.tenant_id == tenant_id)
            .order_by(ApiKey.created_at, ApiKey.id)
        )
    )


async def revoke(session: AsyncSession, *, tenant_id: UUID, key_id: UUID) -> bool:
    """Revoke a key at once; answer whether there is such a key. The first revocation stands."""
    revoked = await session.scalar(
        update(ApiKey)
        .where(ApiKey.tenant_id == tenant_id, ApiKey.id == key_id)
        .values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
        .returning(ApiKey.id)
    )
    return revoked is not None


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
