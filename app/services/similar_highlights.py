"""Highlights that look or read like another."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.services.profiles import PinnedProfiles
from domain.highlights.selection import HIDDEN
from domain.highlights.similarity import Impression, Resemblance, describe, resemblance
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, highlights, search
from infra.db.repositories.clips import ClipRow
from infra.db.tables import Highlight


@dataclass(frozen=True, kw_only=True)
class SimilarMatch:
    """A highlight with its newest clip, and how it resembles the given one."""

    highlight: Highlight
    clip: ClipRow | None
    how: Resemblance


async def find_similar(
    database: Database, pinned: PinnedProfiles, *, tenant_id: UUID, highlight_id: UUID, limit: int
) -> list[SimilarMatch]:
    """Return the highlights that are most similar to one, most similar first.

    Candidates share words of its title or have a similar thumbnail.

    Raises:
        RecordMissingError: the tenant has no such highlight.
    """
    async with database.session(tenant_id) as session:
        about = await highlights.get(session, tenant_id=tenant_id, highlight_id=highlight_id)
        if about is None:
            raise RecordMissingError("highlight", highlight_id)
        own = await clips.latest_by_highlight(
            session, tenant_id=tenant_id, highlight_ids=[highlight_id]
        )
        impression = _impression(about, own.get(highlight_id))
        titled = await search.by_title(
            session, tenant_id=tenant_id, highlight_id=highlight_id, title=about.title
        )
        pictured = await search.by_picture(
            session,
            tenant_id=tenant_id,
            highlight_id=highlight_id,
            thumbnail_hash=impression.thumbnail_hash,
        )
        ids = sorted(titled | pictured)
        rows = await highlights.get_many(session, tenant_id=tenant_id, highlight_ids=ids)
        newest = await clips.latest_by_highlight(session, tenant_id=tenant_id, highlight_ids=ids)
    profile = (await pinned.find(tenant_id, about.profile_id, about.profile_version)).profile
    found = []
    for row in rows.values():
        clip = newest.get(row.id)
        how = resemblance(impression, _impression(row, clip), profile.similarity)
        if row.status not in HIDDEN and (row.id in titled or how.looks_alike):
            found.append(SimilarMatch(highlight=row, clip=clip, how=how))
    found.sort(key=lambda each: (-each.how.similarity, each.highlight.id))
    return found[:limit]


def _impression(row: Highlight, clip: ClipRow | None) -> Impression:
    return Impression(
        start=row.start,
        end=row.end,
        text=describe(row.title, row.description),
        tags=tuple(row.tags),
        thumbnail_hash=None if clip is None else clip.thumbnail_hash,
    )
