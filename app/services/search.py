"""Full-text search: turns a query as typed into a query of PostgreSQL, with spelling corrected."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.search_query import (
    Node,
    nearest,
    needed,
    parse,
    with_forms,
    without,
    words,
    write,
)
from infra.cache import AsyncCache
from infra.db.repositories import search
from infra.db.repositories.search import TextQuery

LIFETIME: Final = 300.0


MOST_WORDS: Final = 50_000


_CAPACITY: Final = 64


class VocabularyCache:
    """Words in tenants' highlights, cached for `LIFETIME` seconds, to correct spelling by.

    A search for a new word finds it immediately; only corrections lag. Of a tenant with more than
    `MOST_WORDS` words, the alphabetically first ones are used.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._words = AsyncCache[UUID, tuple[str, ...]](
            capacity=_CAPACITY, lifetime=LIFETIME, clock=clock
        )

    async def of(self, session: AsyncSession, tenant_id: UUID) -> tuple[str, ...]:
        """Return a tenant's words, read in its session."""
        return await self._words.get_or_load(tenant_id, lambda: self._load(session, tenant_id))

    @staticmethod
    async def _load(session: AsyncSession, tenant_id: UUID) -> tuple[str, ...]:
        found = await search.vocabulary(session, tenant_id=tenant_id, most=MOST_WORDS)
        return tuple(word for word in found if not word.startswith(("#", "@")))


_MOST_CORRECTED: Final = 4


class NothingToSearchForError(Exception):
    """The query has no word to search for."""


@dataclass(frozen=True, kw_only=True)
class WordCorrection:
    """A word that no highlight contains, and the words searched for instead."""

    word: str
    instead: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReadQuery:
    """A query as it is searched for, and the corrections made."""

    query: TextQuery
    corrections: tuple[WordCorrection, ...]


class QueryReader:
    """Reads queries in all languages of a tenant's streams.

    Args:
        vocabularies: words to correct spelling by.
    """

    def __init__(self, vocabularies: VocabularyCache) -> None:
        self._vocabularies = vocabularies

    async def read(self, session: AsyncSession, *, tenant_id: UUID, text: str) -> ReadQuery:
        """Return what to search for.

        A word also matches by its stem in each language. A stop word of one of the languages is
        not required, if other words are given. An unknown word also matches the nearest known ones.

        Raises:
            NothingToSearchForError: the query has no word, or excludes all of them.
        """
        node = parse(await search.read_query(session, text))
        if node is None:
            raise NothingToSearchForError
        spoken = await search.languages(session, tenant_id=tenant_id)
        stems = await search.stems(session, words=words(node), languages=spoken)
        forms = {word: _forms(word, found) for word, found in stems.items()}
        node = without(
            node, frozenset(word for word, found in stems.items() if any(not f for f in found))
        )
        corrections = await self._correct(session, tenant_id, node, forms)
        misread = [each for correction in corrections for each in correction.instead]
        more = await search.stems(session, words=misread, languages=spoken)
        for correction in corrections:
            instead = (form for each in correction.instead for form in _forms(each, more[each]))
            forms[correction.word] = tuple(dict.fromkeys((*forms[correction.word], *instead)))
        node = with_forms(node, forms)
        sets = needed(node)
        if not sets:
            raise NothingToSearchForError
        return ReadQuery(
            query=TextQuery(tsquery=write(node), needed=sets), corrections=tuple(corrections)
        )

    async def _correct(
        self,
        session: AsyncSession,
        tenant_id: UUID,
        node: Node,
        forms: Mapping[str, tuple[str, ...]],
    ) -> list[WordCorrection]:
        wanted = words(node, wanted_only=True)
        looked_up = {form for word in wanted for form in forms[word]}
        known = await search.known(session, tenant_id=tenant_id, words=looked_up)
        unknown = [word for word in wanted if known.isdisjoint(forms[word])][:_MOST_CORRECTED]
        if not unknown:
            return []
        vocabulary = await self._vocabularies.of(session, tenant_id)
        found = [WordCorrection(word=word, instead=nearest(word, vocabulary)) for word in unknown]
        return [each for each in found if each.instead]


def _forms(word: str, stems: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((word, *(form for found in stems for form in found))))
