"""Corrections of highlights that are shown: withdrawn, or with other tags."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.selection import DecisionStatus, Reason
from infra.db.repositories.events import append_highlight_event, append_relabeled_event
from infra.db.tables import Highlight

_SHOWN: Final = (DecisionStatus.PENDING.value, DecisionStatus.CONFIRMED.value)


async def withdraw(
    session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID, reason: Reason
) -> bool:
    """Retract a highlight that is shown, a confirmed one too, since its grounds were taken back.

    Returns False if it is not shown. Decisions made before do not bring it back.
    """
    row = await _locked(session, tenant_id=tenant_id, highlight_id=highlight_id)
    if row is None or row.status not in _SHOWN:
        return False
    before = DecisionStatus(row.status)
    row.status = DecisionStatus.RETRACTED.value
    row.decided_at = math.nextafter(row.decided_at, math.inf)
    row.reasons = [*row.reasons, reason.model_dump(mode="json")]
    await _change(session, row)
    await append_highlight_event(session, row, before=before)
    return True


async def relabel(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    add: Collection[str] = (),
    remove: Collection[str] = (),
    reason: Reason | None = None,
) -> bool:
    """Change the tags of a highlight that is shown, and publish it if a tag goes.

    Returns False if there is nothing to change.
    """
    row = await _locked(session, tenant_id=tenant_id, highlight_id=highlight_id)
    if row is None or row.status not in _SHOWN:
        return False
    kept = [tag for tag in row.tags if tag not in remove]
    tags = [*kept, *(tag for tag in sorted(add) if tag not in kept)]
    if tags == row.tags:
        return False
    is_event = len(kept) < len(row.tags)
    row.tags = tags
    if reason is not None:
        row.reasons = [*row.reasons, reason.model_dump(mode="json")]
    await _change(session, row)
    if is_event:
        await append_relabeled_event(session, row)
    return True


async def _locked(
    session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID
) -> Highlight | None:
    found: Highlight | None = await session.scalar(
        select(Highlight)
        .where(Highlight.tenant_id == tenant_id, Highlight.id == highlight_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return found


async def _change(session: AsyncSession, row: Highlight) -> None:
    row.revision += 1
    row.updated_at = (await session.execute(select(func.now()))).scalar_one()
    await session.flush()
    await session.refresh(row)
