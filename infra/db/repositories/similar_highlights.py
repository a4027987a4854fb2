"""Highlights that may resemble another, by parts of the picture's hash and by the title's words."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import exists, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clips.models import ClipStatus
from domain.highlights.similarity import nearby_parts
from infra.db.repositories.highlight_filter import HIDDEN
from infra.db.tables import Clip, Highlight, HighlightTerm

MOST: Final = 500
"""Of each kind, the newest: a bound on what is compared."""

_MAX_WORDS: Final = 8


async def by_picture(
    session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID, thumbnail_hash: str | None
) -> set[UUID]:
    """Return other highlights with a clip whose thumbnail may be near; none to no picture."""
    if thumbnail_hash is None:
        return set()
    parts = (Clip.picture_a, Clip.picture_b, Clip.picture_c, Clip.picture_d)
    near = zip(parts, nearby_parts(thumbnail_hash), strict=True)
    found = await session.scalars(
        select(Clip.highlight_id)
        .where(
            Clip.tenant_id == tenant_id,
            Clip.thumbnail_hash.is_not(None),
            or_(*(part.in_(values) for part, values in near)),
            Clip.status == ClipStatus.READY,
            Clip.highlight_id != highlight_id,
        )
        .order_by(Clip.created_at.desc(), Clip.id)
        .limit(MOST)
    )
    return set(found)


async def by_title(
    session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID, title: str
) -> set[UUID]:
    """Return other highlights that hold the words of a title, the eight longest of them."""
    words = await session.scalar(
        select(func.tsvector_to_array(func.to_tsvector(literal_column("'simple'"), title)))
    )
    if not words:
        return set()
    longest = sorted(words, key=lambda word: (-len(word), word))[:_MAX_WORDS]
    holds = (
        exists().where(
            HighlightTerm.tenant_id == tenant_id,
            HighlightTerm.term == word,
            HighlightTerm.highlight_id == Highlight.id,
        )
        for word in longest
    )
    found = await session.scalars(
        select(Highlight.id)
        .where(
            Highlight.tenant_id == tenant_id,
            Highlight.status.not_in(HIDDEN),
            Highlight.id != highlight_id,
            *holds,
        )
        .order_by(Highlight.created_at.desc(), Highlight.id.desc())
        .limit(MOST)
    )
    return set(found)
