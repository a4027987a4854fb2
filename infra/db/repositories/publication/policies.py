"""Publication policies as they are stored: of tenants, connections, streams and highlights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.publication import PublicationPolicy, Release, ReviewStatus
from infra.db.errors import RecordMissingError
from infra.db.tables import Highlight, Stream, Tenant


class _Published(Protocol):
    """A highlight, as an entity or as the row of a list."""

    @property
    def policy(self) -> dict[str, Any] | None: ...
    @property
    def release(self) -> dict[str, Any] | None: ...


def stored_policy(policy: PublicationPolicy | None) -> dict[str, Any] | None:
    """Return the column of a policy; NULL if it states nothing."""
    return None if policy is None else policy.stated() or None


def read_policy(stored: Mapping[str, Any] | None) -> PublicationPolicy | None:
    """Return a stored policy."""
    return None if stored is None else PublicationPolicy.model_validate(stored)


def policy_of(row: _Published) -> PublicationPolicy | None:
    """Return the policy of a highlight, if one was stated."""
    return read_policy(row.policy)


def release_of(row: _Published) -> Release | None:
    """Return who approved or rejected a highlight, if it was reviewed."""
    return None if row.release is None else Release.model_validate(row.release)


def policy_values(stored: dict[str, Any] | None) -> dict[str, Any]:
    """Return the columns of a new highlight of a stream with this policy."""
    policy = read_policy(stored)
    if policy is None or not policy.needs_review:
        return {"policy": stored, "review": None, "review_until": None}
    return {
        "policy": stored,
        "review": ReviewStatus.AWAITING.value,
        "review_until": func.now() + policy.review_time,
    }


async def of_tenant(session: AsyncSession, *, tenant_id: UUID) -> PublicationPolicy | None:
    """Return the tenant's own policy, if there is one."""
    return read_policy(await session.scalar(select(Tenant.policy).where(Tenant.id == tenant_id)))


async def put_of_tenant(
    session: AsyncSession, *, tenant_id: UUID, policy: PublicationPolicy
) -> None:
    """Replace the tenant's own policy.

    Raises:
        RecordMissingError: there is no such tenant.
    """
    changed = await session.scalar(
        update(Tenant)
        .where(Tenant.id == tenant_id)
        .values(policy=stored_policy(policy))
        .returning(Tenant.id)
    )
    if changed is None:
        raise RecordMissingError("tenant", tenant_id)


async def lock_of_stream(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID
) -> PublicationPolicy:
    """Return a stream's policy, locked until the transaction ends, as selection locks it.

    Raises:
        RecordMissingError: the tenant has no such stream.
    """
    found = (
        await session.execute(
            select(Stream.policy)
            .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
            .with_for_update(key_share=True)
        )
    ).one_or_none()
    if found is None:
        raise RecordMissingError("stream", stream_id)
    return read_policy(found.policy) or PublicationPolicy()


async def put_of_stream(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, policy: PublicationPolicy
) -> None:
    """Replace the policy of a locked stream and its highlights; their reviews stay."""
    stored = stored_policy(policy)
    await session.execute(
        update(Stream)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .values(policy=stored)
    )
    await session.execute(
        update(Highlight)
        .where(Highlight.tenant_id == tenant_id, Highlight.stream_id == stream_id)
        .values(policy=stored, revision=Highlight.revision + 1, updated_at=func.now())
    )
