"""The audit log: entries are added in the transaction of the change, and never altered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.audit import Actor, AuditAction, AuditTarget
from infra.db.keyset import Order, Position
from infra.db.tables import AuditEntry

NEWEST: Final = Order(column=AuditEntry.at, id=AuditEntry.id, descending=True)


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which entries to list: those that match all given values.

    `since` is inclusive, `until` is exclusive.
    """

    action: AuditAction | None = None
    target_kind: AuditTarget | None = None
    target_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def record(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    action: AuditAction,
    target_id: object,
    actor: Actor,
    details: dict[str, Any] | None = None,
) -> None:
    """Add an entry in the transaction that makes the change.

    Args:
        session: the tenant's, in which the change is made.
        tenant_id: the tenant.
        action: what is done.
        target_id: what it is done to: an id, or a name where that is the identity.
        actor: who does it.
        details: what changed, as JSON; never a secret.
    """
    session.add(
        AuditEntry(
            tenant_id=tenant_id,
            id=uuid4(),
            actor_kind=actor.kind,
            actor_id=actor.id,
            action=action,
            target_kind=action.target,
            target_id=str(target_id),
            details=details or {},
            request_id=actor.request_id,
            client_address=actor.client_address,
        )
    )
    await session.flush()


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    criteria: AuditFilter,
    after: Position | None = None,
    limit: int = 50,
) -> list[AuditEntry]:
    """Return entries, newest first."""
    query = select(AuditEntry).where(AuditEntry.tenant_id == tenant_id)
    if criteria.action is not None:
        query = query.where(AuditEntry.action == criteria.action)
    if criteria.target_kind is not None:
        query = query.where(AuditEntry.target_kind == criteria.target_kind)
    if criteria.target_id is not None:
        query = query.where(AuditEntry.target_id == criteria.target_id)
    if criteria.since is not None:
        query = query.where(AuditEntry.at >= criteria.since)
    if criteria.until is not None:
        query = query.where(AuditEntry.at < criteria.until)
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))
