"""Tastes: what a tenant's feedback teaches, and how the tenant controls it."""

from __future__ import annotations

import asyncio
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.taste import fit_taste
from domain.tenants.audit import Actor, AuditAction
from infra.db.repositories import audit
from infra.db.repositories.profiles import Tastes, taste_of
from infra.db.tables import TasteRow


async def learn(session: AsyncSession, *, tenant_id: UUID, profile_id: str) -> TasteRow:
    """Fit a taste again from all feedback in force, in the caller's transaction.

    The version rises only if the result differs. A disabled taste learns nothing.
    """
    tastes = Tastes(session)
    row = await tastes.lock(tenant_id, profile_id)
    return await _fit_again(tastes, row) if row.enabled else row


async def _fit_again(tastes: Tastes, row: TasteRow) -> TasteRow:
    given = await tastes.judgements(row.tenant_id, row.profile_id, since=row.reset_at)
    # On a thread, so that it does not block other requests.
    fitted = await asyncio.to_thread(fit_taste, given, version=row.version)
    if fitted == taste_of(row):
        return row
    return await tastes.put(row.tenant_id, row.profile_id, fitted.with_version(row.version + 1))


async def set_enabled(
    session: AsyncSession, *, tenant_id: UUID, profile_id: str, enabled: bool, actor: Actor
) -> TasteRow:
    """Enable or disable a taste, with an audit entry, in the caller's transaction.

    A disabled taste changes no highlight and learns nothing. When it is enabled again, it learns
    from all feedback since the last reset.
    """
    tastes = Tastes(session)
    row = await tastes.lock(tenant_id, profile_id)
    if row.enabled == enabled:
        return row
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.TASTE_ENABLED if enabled else AuditAction.TASTE_DISABLED,
        target_id=profile_id,
        actor=actor,
    )
    row = await tastes.set_enabled(tenant_id, profile_id, enabled=enabled)
    return await _fit_again(tastes, row) if enabled else row


async def reset(session: AsyncSession, *, tenant_id: UUID, profile_id: str, actor: Actor) -> None:
    """Forget a taste and all feedback until now, with an audit entry.

    The feedback itself stays stored, and is still listed.
    """
    tastes = Tastes(session)
    forgotten = (await tastes.lock(tenant_id, profile_id)).version
    await tastes.reset(tenant_id, profile_id)
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.TASTE_RESET,
        target_id=profile_id,
        actor=actor,
        details={"forgotten_version": forgotten},
    )
