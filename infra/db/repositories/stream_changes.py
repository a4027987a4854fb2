"""What has changed of a stream's highlights and clips."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.tables import Clip, Highlight


@dataclass(frozen=True, kw_only=True)
class Change:
    """A highlight, or its clip, as it became at a time."""

    highlight_id: UUID
    of_clip: bool
    at: datetime


async def since(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, start: datetime
) -> list[Change]:
    """Return what of a stream has changed at `start` or later, each at its last change, in order.

    Times are those at which transactions began: one that ends later may add a change that lies
    before what was seen. Ask again for as long a time as a transaction may take.
    """
    changed = union_all(
        select(
            Highlight.id.label("highlight_id"),
            literal(value=False).label("of_clip"),
            Highlight.updated_at.label("at"),
        ).where(
            Highlight.tenant_id == tenant_id,
            Highlight.stream_id == stream_id,
            Highlight.updated_at >= start,
        ),
        select(Clip.highlight_id, literal(value=True), Clip.updated_at).where(
            Clip.tenant_id == tenant_id, Clip.stream_id == stream_id, Clip.updated_at >= start
        ),
    ).subquery()
    rows = await session.execute(select(changed).order_by(changed.c.at, changed.c.highlight_id))
    return [Change(highlight_id=row.highlight_id, of_clip=row.of_clip, at=row.at) for row in rows]
