"""The words that tenants' highlights hold, remembered for a while, to correct slips by.

From what somebody typed to what is searched for: other forms of words, and slips corrected.
"""

from __future__ import annotations

import time
from collections import OrderedDict
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
from infra.db.repositories import search
from infra.db.repositories.search import TextQuery

LIFETIME: Final = 300.0


MOST_WORDS: Final = 50_000


_CAPACITY: Final = 64


class Vocabularies:
    """Reads vocabularies through a cache; a new word serves to correct slips after `LIFETIME` (s).

    Searching for the word itself finds it at once. Of a tenant with more than `MOST_WORDS` the
    first ones by the alphabet are known.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[UUID, tuple[float, tuple[str, ...]]] = OrderedDict()

    async def of(self, session: AsyncSession, tenant_id: UUID) -> tuple[str, ...]:
        """Return a tenant's words, in its session."""
        now = self._clock()
        expires, words = self._known.get(tenant_id, (now, ()))
        if now < expires:
            return words
        found = await search.vocabulary(session, tenant_id=tenant_id, most=MOST_WORDS)
        words = tuple(word for word in found if not word.startswith("#"))
        self._known[tenant_id] = (now + LIFETIME, words)
        self._known.move_to_end(tenant_id)
        if len(self._known) > _CAPACITY:
            self._known.popitem(last=False)
        return words


_MOST_CORRECTED: Final = 4


class NothingToSearchForError(Exception):
    """The query holds no word that is looked for."""


@dataclass(frozen=True, kw_only=True)
class WordCorrection:
    """A word that no highlight holds, and those searched for instead."""

    word: str
    instead: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReadQuery:
    """A query as it is searched for, and what was corrected in it."""

    query: TextQuery
    corrections: tuple[WordCorrection, ...]


class QueryReader:
    """Reads queries in all languages of a tenant's streams.

    Args:
        vocabularies: what slips are corrected by.
    """

    def __init__(self, vocabularies: Vocabularies) -> None:
        self._vocabularies = vocabularies

    async def read(self, session: AsyncSession, *, tenant_id: UUID, text: str) -> ReadQuery:
        """Return what to search for.

        A word stands for its stem in each language as well. One that is too common to mean
        anything in one of them need not be there, if others are asked for. One that nobody wrote
        also stands for the nearest that somebody did.

        Raises:
            NothingToSearchForError: there is no word in it, or none that is not excluded.
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
