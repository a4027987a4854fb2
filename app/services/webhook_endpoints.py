"""Making, changing and removing webhook endpoints, each with its entry in the audit log.

Of an endpoint's URL the log keeps the host: where a tenant's events went has to be known
afterwards, but the path or the query may hold a secret of the receiver's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.audit import Actor, AuditAction
from domain.webhooks.events import DisabledReason, EndpointStatus
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, endpoints
from infra.db.tables import WebhookEndpoint
from infra.webhooks.message import EndpointSecrets, new_secret


async def make(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    endpoint_id: UUID,
    url: str,
    description: str,
    event_types: list[str],
    secret: bytes,
    actor: Actor,
) -> WebhookEndpoint:
    """Make an endpoint; `secret` is sealed."""
    row = await endpoints.create(
        session,
        tenant_id=tenant_id,
        endpoint_id=endpoint_id,
        url=url,
        description=description,
        event_types=event_types,
        secret=secret,
    )
    details = {"host": _host(url), "event_types": event_types}
    await _record(session, row, AuditAction.ENDPOINT_CREATED, actor, details)
    return row


async def change(
    session: AsyncSession,
    endpoint_id: UUID,
    values: Mapping[str, Any],
    *,
    tenant_id: UUID,
    actor: Actor,
    status: EndpointStatus | None = None,
) -> WebhookEndpoint:
    """Change what differs of an endpoint; with a `status`, stop or resume calling it.

    Raises:
        RecordMissingError: the tenant has no such endpoint.
    """
    row = await _lock(session, endpoint_id, tenant_id=tenant_id)
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    if changed:
        await endpoints.change(session, row, changed)
        details: dict[str, Any] = {"changed": sorted(changed)}
        if "url" in changed:
            details["host"] = _host(row.url)
        await _record(session, row, AuditAction.ENDPOINT_UPDATED, actor, details)
    if status is EndpointStatus.DISABLED:
        await endpoints.disable(session, row, reason=DisabledReason.TENANT, actor=actor)
    if status is EndpointStatus.ENABLED and row.status != EndpointStatus.ENABLED:
        await endpoints.enable(session, row)
        await _record(session, row, AuditAction.ENDPOINT_ENABLED, actor)
    return row


async def rotate(
    session: AsyncSession,
    endpoint_id: UUID,
    *,
    tenant_id: UUID,
    secret: bytes,
    overlap: timedelta,
    actor: Actor,
) -> WebhookEndpoint:
    """Give an endpoint another secret, sealed; the present one signs beside it for a while.

    Raises:
        RecordMissingError: the tenant has no such endpoint.
    """
    row = await _lock(session, endpoint_id, tenant_id=tenant_id)
    await endpoints.rotate(session, row, secret=secret, previous_until=datetime.now(UTC) + overlap)
    details = {"overlap": int(overlap.total_seconds())}
    await _record(session, row, AuditAction.ENDPOINT_ROTATED, actor, details)
    return row


async def remove(
    session: AsyncSession, endpoint_id: UUID, *, tenant_id: UUID, actor: Actor
) -> None:
    """Remove an endpoint with its deliveries.

    Raises:
        RecordMissingError: the tenant has no such endpoint.
    """
    row = await _lock(session, endpoint_id, tenant_id=tenant_id)
    await endpoints.delete(session, tenant_id=tenant_id, endpoint_id=endpoint_id)
    await _record(session, row, AuditAction.ENDPOINT_DELETED, actor, {"host": _host(row.url)})


async def _lock(session: AsyncSession, endpoint_id: UUID, *, tenant_id: UUID) -> WebhookEndpoint:
    row = await endpoints.lock(session, tenant_id=tenant_id, endpoint_id=endpoint_id)
    if row is None:
        raise RecordMissingError("webhook endpoint", endpoint_id)
    return row


async def _record(
    session: AsyncSession,
    row: WebhookEndpoint,
    action: AuditAction,
    actor: Actor,
    details: dict[str, Any] | None = None,
) -> None:
    await audit.record(
        session,
        tenant_id=row.tenant_id,
        action=action,
        target_id=row.id,
        actor=actor,
        details=details,
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


class EndpointLimitError(Exception):
    """The tenant has as many endpoints as it may."""


async def subscribe(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    endpoint_id: UUID,
    url: str,
    description: str,
    event_types: list[str],
    secrets: EndpointSecrets,
    limit: int,
    actor: Actor,
) -> tuple[WebhookEndpoint, str]:
    """Create an endpoint of a tenant that has fewer than `limit`; return it with its new secret.

    Raises:
        EndpointLimitError: the tenant has `limit` endpoints.
    """
    if await endpoints.count(session, tenant_id=tenant_id) >= limit:
        raise EndpointLimitError
    secret = new_secret()
    row = await make(
        session,
        tenant_id=tenant_id,
        endpoint_id=endpoint_id,
        url=url,
        description=description,
        event_types=event_types,
        secret=secrets.encrypt(secret, tenant_id=tenant_id, endpoint_id=endpoint_id),
        actor=actor,
    )
    return row, secret
