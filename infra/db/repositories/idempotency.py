"""Requests under a client's own key: made once, answered alike each time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    Interval,
    LargeBinary,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    func,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.tables import IdempotencyKey

RETENTION: Final = timedelta(hours=24)

_table: Final = cast("Table", IdempotencyKey.__table__)
_column: Final = _table.c
_given: Final[dict[str, BindParameter[Any]]] = {
    "tenant_id": bindparam("tenant", type_=Uuid()),
    "key": bindparam("name", type_=Text()),
    "request_hash": bindparam("hash", type_=LargeBinary()),
    "resource_id": bindparam("resource", type_=Uuid()),
}
_AFRESH: Final[dict[str, Any]] = {
    "created_at": func.now(),
    "claimed_until": func.now() + bindparam("lease", type_=Interval()),
    "response_status": None,
    "response_headers": null(),
    "response_body": null(),
}
# Written once, as every creating request sends it, and SQLAlchemy takes its time to make one.
_CLAIM: Final = (
    insert(_table)
    .values({**_given, **_AFRESH})
    .on_conflict_do_update(
        index_elements=[_column.tenant_id, _column.key],
        set_={"request_hash": _given["request_hash"], "resource_id": _given["resource_id"]}
        | _AFRESH,
        where=_column.created_at < func.now() - RETENTION,
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


@dataclass(frozen=True, kw_only=True)
class StoredResponse:
    """An answer as it was given."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class ClaimOutcome(StrEnum):
    """What a request may do under its key."""

    NEW = "new"  # go on and make the resource
    RESUMED = "resumed"  # an earlier request died half-way: finish what it made
    ANSWERED = "answered"  # give the stored answer
    IN_PROGRESS = "in_progress"  # another request is at it
    OTHER_REQUEST = "other_request"  # the key was used with other content


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The outcome, the resource that the key stands for, and the answer if there is one."""

    outcome: ClaimOutcome
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

    A concurrent request under the same key waits here until that transaction ends. A key older
    than `RETENTION` is new again; maintenance deletes the others, so that requests under different
    keys never wait for each other.

    Args:
        session: the tenant's.
        tenant_id: the tenant, which the key is scoped to.
        key: as the client sent it.
        request_hash: of everything that the answer depends on.
        resource_id: the id that the resource will have if the key is new.
        lease: how long the request may take before another may finish it.
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
        return Claim(outcome=ClaimOutcome.NEW, resource_id=resource_id)
    return await _claim_again(
        session,
        tenant_id=tenant_id,
        key=key,
        request_hash=request_hash,
        resource_id=resource_id,
        lease=lease,
    )


async def _claim_again(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    key: str,
    request_hash: bytes,
    resource_id: UUID,
    lease: timedelta,
) -> Claim:
    found = await session.execute(
        select(IdempotencyKey, IdempotencyKey.claimed_until <= func.now())
        .where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
        .with_for_update()
    )
    pair = found.one_or_none()
    if pair is None:  # released since the insert met it: the client may simply try again
        return Claim(outcome=ClaimOutcome.IN_PROGRESS, resource_id=resource_id)
    row, abandoned = pair
    if row.request_hash != request_hash:
        return Claim(outcome=ClaimOutcome.OTHER_REQUEST, resource_id=row.resource_id)
    if row.response_status is not None:
        response = StoredResponse(
            status=row.response_status,
            headers=row.response_headers or {},
            body=row.response_body or {},
        )
        return Claim(outcome=ClaimOutcome.ANSWERED, resource_id=row.resource_id, response=response)
    if not abandoned:
        return Claim(outcome=ClaimOutcome.IN_PROGRESS, resource_id=row.resource_id)
    row.claimed_until = func.now() + lease
    await session.flush()
    return Claim(outcome=ClaimOutcome.RESUMED, resource_id=row.resource_id)


async def complete(
    session: AsyncSession, *, tenant_id: UUID, key: str, response: StoredResponse
) -> None:
    """Store the answer."""
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
    """Forget a key whose request came to nothing, so that it can be tried again at once."""
    await session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.tenant_id == tenant_id,
            IdempotencyKey.key == key,
            IdempotencyKey.response_status.is_(None),
        )
    )
