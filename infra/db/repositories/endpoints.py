"""Webhook endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete as delete_from
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.audit import Actor, AuditAction
from domain.webhooks.events import DisabledReason, EndpointPayload, EndpointStatus, EventType, event
from infra.db.keyset import Order, Position
from infra.db.repositories import audit, events
from infra.db.repositories.events import lock_deliveries
from infra.db.tables import Delivery, WebhookEndpoint

NEWEST: Final = Order(column=WebhookEndpoint.created_at, id=WebhookEndpoint.id, descending=True)


async def create(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    endpoint_id: UUID,
    url: str,
    description: str,
    event_types: list[str],
    secret: bytes,
) -> WebhookEndpoint:
    """Insert an endpoint, enabled; `secret` is encrypted."""
    row = WebhookEndpoint(
        tenant_id=tenant_id,
        id=endpoint_id,
        url=url,
        description=description,
        event_types=event_types,
        secret=secret,
        status=EndpointStatus.ENABLED,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def count(session: AsyncSession, *, tenant_id: UUID) -> int:
    """Return how many endpoints a tenant has, disabled ones included.

    Transactions that count before they create an endpoint wait for each other.
    """
    key = func.hashtextextended(f"webhook_endpoints:{tenant_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))
    found = await session.scalar(
        select(func.count())
        .select_from(WebhookEndpoint)
        .where(WebhookEndpoint.tenant_id == tenant_id)
    )
    return found or 0


async def get(
    session: AsyncSession, *, tenant_id: UUID, endpoint_id: UUID
) -> WebhookEndpoint | None:
    """Return an endpoint, or None when the tenant has none of this id."""
    return await session.get(WebhookEndpoint, (tenant_id, endpoint_id))


async def lock(
    session: AsyncSession, *, tenant_id: UUID, endpoint_id: UUID
) -> WebhookEndpoint | None:
    """Return an endpoint, locked until this transaction ends."""
    return await session.get(
        WebhookEndpoint, (tenant_id, endpoint_id), with_for_update=True, populate_existing=True
    )


async def list_page(
    session: AsyncSession, *, tenant_id: UUID, after: Position | None = None, limit: int = 50
) -> list[WebhookEndpoint]:
    """Return endpoints, newest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.tenant_id == tenant_id)
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))


async def change(session: AsyncSession, row: WebhookEndpoint, values: Mapping[str, Any]) -> None:
    """Change a locked endpoint."""
    for name, value in values.items():
        setattr(row, name, value)
    row.revision += 1
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)


async def rotate(
    session: AsyncSession, row: WebhookEndpoint, *, secret: bytes, previous_until: datetime
) -> None:
    """Replace the secret of a locked endpoint; the old one also signs until a given time.

    An older secret that still signed no longer does.
    """
    await change(
        session,
        row,
        {
            "secret": secret,
            "previous_secret": row.secret,
            "previous_secret_until": previous_until,
        },
    )


async def enable(session: AsyncSession, row: WebhookEndpoint) -> None:
    """Enable a locked endpoint and clear its failures."""
    await change(
        session,
        row,
        {
            "status": EndpointStatus.ENABLED,
            "disabled_reason": None,
            "disabled_at": None,
            "failing_since": None,
        },
    )


async def disable(
    session: AsyncSession, row: WebhookEndpoint, *, reason: DisabledReason, actor: Actor
) -> bool:
    """Disable a locked endpoint, audit it and notify the tenant, unless it was disabled before.

    Returns True if this call disabled it.
    """
    if row.status == EndpointStatus.DISABLED:
        return False
    failing_since = row.failing_since
    await change(
        session,
        row,
        {
            "status": EndpointStatus.DISABLED,
            "disabled_reason": reason,
            "disabled_at": func.now(),
        },
    )
    await events.append(
        session,
        event(
            EventType.ENDPOINT_DISABLED,
            EndpointPayload(
                endpoint_id=row.id, url=row.url, reason=reason, failing_since=failing_since
            ),
            tenant_id=row.tenant_id,
            subject=f"endpoint/{row.id}",
            revision=row.revision,
            created_at=row.updated_at,
        ),
    )
    await audit.record(
        session,
        tenant_id=row.tenant_id,
        action=AuditAction.ENDPOINT_DISABLED,
        target_id=row.id,
        actor=actor,
        details={"reason": reason.value},
    )
    return True


async def delete(session: AsyncSession, *, tenant_id: UUID, endpoint_id: UUID) -> bool:
    """Delete an endpoint with its deliveries. Return True if it existed."""
    if await lock(session, tenant_id=tenant_id, endpoint_id=endpoint_id) is None:
        return False
    await lock_deliveries(session, tenant_id=tenant_id, which=Delivery.endpoint_id == endpoint_id)
    await session.execute(
        delete_from(WebhookEndpoint).where(
            WebhookEndpoint.tenant_id == tenant_id, WebhookEndpoint.id == endpoint_id
        )
    )
    return True
