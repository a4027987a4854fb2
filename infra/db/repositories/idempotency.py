"""Idempotency keys: each creating request runs once, and retries get its response."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.tables import IdempotencyKey

RETENTION: Final = timedelta(hours=24)
"""An older key counts as new."""


class KeyReusedError(Exception):
    """The key was used for a different request."""


class RequestRunningError(Exception):
    """The same request is running now."""


@dataclass(frozen=True, kw_only=True)
class StoredResponse:
    """A response, as it was sent."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The id of the resource that a key stands for, and the response if there is one."""

    resource_id: UUID
    response: StoredResponse | None = None


async def claim(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    key: str,
    request_hash: bytes,
    resource_id: UUID,
    lease: timedelta,
) -> Claim:
    """Claim a key in the transaction that creates the resource.

    A concurrent request with the same key waits here until that transaction ends. A request that
    has not completed within its lease is taken for dead: the next one gets its resource id.

    Args:
        session: a session of the tenant.
        tenant_id: the tenant that the key belongs to.
        key: as the client sent it.
        request_hash: hash of everything that the response depends on.
        resource_id: id of the resource if the key is new.
        lease: time after which an unfinished request may be resumed by another.

    Raises:
        KeyReusedError: the key was used for a request with another hash.
        RequestRunningError: the same request is running.
    """
    own = and_(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
    await session.execute(
        delete(IdempotencyKey).where(own, IdempotencyKey.created_at < func.now() - RETENTION)
    )
    claimed_until = func.now() + lease
    claimed = await session.scalar(
        insert(IdempotencyKey)
        .values(
            tenant_id=tenant_id,
            key=key,
            request_hash=request_hash,
            resource_id=resource_id,
            created_at=func.now(),
            claimed_until=claimed_until,
        )
        .on_conflict_do_update(
            index_elements=[IdempotencyKey.tenant_id, IdempotencyKey.key],
            set_={"claimed_until": claimed_until},
            where=and_(
                IdempotencyKey.request_hash == request_hash,
                IdempotencyKey.response_status.is_(None),
                IdempotencyKey.claimed_until <= func.now(),
            ),
        )
        .returning(IdempotencyKey.resource_id)
    )
    if claimed is not None:
        return Claim(resource_id=claimed)
    row = await session.scalar(select(IdempotencyKey).where(own))
    if row is None:  # released since the insert conflicted with it
        raise RequestRunningError
    if row.request_hash != request_hash:
        raise KeyReusedError
    if row.response_status is None:
        raise RequestRunningError
    return Claim(
        resource_id=row.resource_id,
        response=StoredResponse(
            status=row.response_status,
            headers=row.response_headers or {},
            body=row.response_body or {},
        ),
    )


async def complete(
    session: AsyncSession, *, tenant_id: UUID, key: str, response: StoredResponse
) -> None:
    """Store the response for retries."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
        .values(
            response_status=response.status,
            response_headers=response.headers,
            response_body=response.body,
        )
    )


async def release(session: AsyncSession, *, tenant_id: UUID, key: str) -> None:
    """Delete a key whose request failed, so that it can be retried at once."""
    await session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.tenant_id == tenant_id,
            IdempotencyKey.key == key,
            IdempotencyKey.response_status.is_(None),
        )
    )
