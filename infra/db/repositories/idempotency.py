"""Idempotency keys: each creating request runs once, and retries get its response."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    Interval,
    LargeBinary,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.tables import IdempotencyKey

RETENTION: Final = timedelta(hours=24)
"""An older key counts as new."""

_table: Final = cast("Table", IdempotencyKey.__table__)
_column: Final = _table.c
_given: Final[dict[str, BindParameter[Any]]] = {
    "tenant_id": bindparam("tenant", type_=Uuid()),
    "key": bindparam("name", type_=Text()),
    "request_hash": bindparam("hash", type_=LargeBinary()),
    "resource_id": bindparam("resource", type_=Uuid()),
}
_claimed_until: Final = func.now() + bindparam("lease", type_=Interval())
_expired: Final = _column.created_at < func.now() - RETENTION
_abandoned: Final = and_(
    _column.request_hash == _given["request_hash"],
    _column.response_status.is_(None),
    _column.claimed_until <= func.now(),
)
# Built once: every creating request runs it, and SQLAlchemy takes long to build one.
_CLAIM: Final = (
    insert(_table)
    .values({**_given, "created_at": func.now(), "claimed_until": _claimed_until})
    .on_conflict_do_update(
        index_elements=[_column.tenant_id, _column.key],
        set_={
            "request_hash": _given["request_hash"],
            "resource_id": case((_expired, _given["resource_id"]), else_=_column.resource_id),
            "created_at": case((_expired, func.now()), else_=_column.created_at),
            "claimed_until": _claimed_until,
            "response_status": None,
            "response_headers": null(),
            "response_body": null(),
        },
        where=or_(_expired, _abandoned),
    )
    .returning(_column.resource_id)
)
_COMPLETE: Final = (
    update(_table)
    .where(_column.tenant_id == _given["tenant_id"], _column.key == _given["key"])
    .values(
        response_status=bindparam("status"),
        response_headers=bindparam("headers", type_=JSONB()),
        response_body=bindparam("body", type_=JSONB()),
    )
)


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
    claimed = await session.scalar(
        _CLAIM,
        {
            "tenant": tenant_id,
            "name": key,
            "hash": request_hash,
            "resource": resource_id,
            "lease": lease,
        },
    )
    if claimed is not None:
        return Claim(resource_id=claimed)
    row = await session.scalar(
        select(IdempotencyKey).where(
            IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key
        )
    )
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
        _COMPLETE,
        {
            "tenant": tenant_id,
            "name": key,
            "status": response.status,
            "headers": response.headers,
            "body": response.body,
        },
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
