"""Database cost of each search: pages for `benchmarks.list_pages`, which prints them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.services.search import MOST_WORDS, QueryReader, VocabularyCache
from infra.db.keyset import Position
from infra.db.repositories import search
from infra.db.repositories.highlights import HighlightFilter
from infra.db.repositories.search import TextQuery

Page = Callable[[AsyncSession], Awaitable[Any]]


def search_pages(tenant: UUID, *, stream: UUID, seen: UUID) -> dict[str, Page]:
    """Return searches by a descriptive name.

    Args:
        tenant: whose highlights.
        stream: one of its streams.
        seen: a highlight of its, at which a page ends.
    """

    def found(
        text: str, *, only: HighlightFilter | None = None, after: Position | None = None
    ) -> Page:
        async def page(session: AsyncSession) -> None:
            read = await QueryReader(VocabularyCache()).read(session, tenant_id=tenant, text=text)
            hits = await search.find(
                session,
                tenant_id=tenant,
                query=read.query,
                criteria=only or HighlightFilter(),
                after=after,
                limit=51,
            )
            await _tell(session, tenant, [hit.id for hit in hits], read.query)

        return page

    return {
        "search for a common word": found("goal"),
        "search for a common word, from 0.5": found("goal", after=Position(value=0.5, id=seen)),
        "search for common words": found("goal crowd"),
        "search for a rare word": found("player123"),
        "search for a rare word or another": found("player123 or player124"),
        "search for a common and a rare word": found("goal player124"),
        "search for a phrase": found('"goal by player124"'),
        "search with an exclusion": found("player123 -goal"),
        "search for a misspelt word": found("penlaty player123"),
        "search for an unknown word": found("xylophone"),
        "search in a stream": found("crowd", only=HighlightFilter(stream_id=stream)),
        "similar by picture": lambda session: search.by_picture(
            session, tenant_id=tenant, highlight_id=seen, thumbnail_hash="0123456789abcdef"
        ),
        "similar by title": lambda session: search.by_title(
            session, tenant_id=tenant, highlight_id=seen, title="Goal by player123"
        ),
        "words to correct by": lambda session: search.vocabulary(
            session, tenant_id=tenant, most=MOST_WORDS
        ),
    }


async def _tell(
    session: AsyncSession, tenant: UUID, highlight_ids: list[UUID], query: TextQuery
) -> None:
    await search.excerpts(session, tenant_id=tenant, highlight_ids=highlight_ids[:50], query=query)
