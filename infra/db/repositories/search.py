"""Full-text search and similarity of highlights.

The queries use indexes that row-level security leaves usable. Rows are found by equality of lexemes
(`highlight_words`); only then are their documents matched and ranked
(docs/decisions/0017-search.md).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Double,
    Text,
    cast,
    column,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH, TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.selectable import TableValuedAlias

from domain.clips.models import ClipStatus
from domain.highlights.similarity import nearby_parts
from domain.text import Language, primary_language, spaced_characters
from infra.db.keyset import Position
from infra.db.repositories.highlights import HIDDEN, HighlightFilter, conditions
from infra.db.tables import Clip, Highlight, HighlightTerm, HighlightWord, Stream

RANKED: Final = 1_000
"""If more highlights match, only those with the best scores are ranked, which bounds the work."""


MARKS: Final = ("\ue000", "\ue001")
"""Marks around a match in an excerpt: private-use characters, which are removed from texts."""


_MAX_SETS: Final = 8
_WEIGHTS: Final[ColumnElement[Any]] = literal_column(
    "'{0.1, 0.3, 0.5, 1.0}'::real[]"
)  # of D, C, B and A
_SATURATING: Final = 32  # rank / (rank + 1), PostgreSQL manual, 12.3.3
_SIMPLE: Final[ColumnElement[Any]] = literal_column("'simple'")
# As the partial index says it; a parameter would hide it from the planner.
_NO_LANGUAGES: Final[ColumnElement[Any]] = literal_column("'{}'::text[]")
_OPTIONS: Final = f'StartSel="{MARKS[0]}", StopSel="{MARKS[1]}", HighlightAll=true'
_WORDS_OF_REASONS: Final = "$[*].words"


@dataclass(frozen=True, kw_only=True)
class TextQuery:
    """A search: a `tsquery`, and sets of words; a row must contain one word of each set."""

    tsquery: str
    needed: tuple[frozenset[str], ...]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A highlight that was found; `relevance` from 0 to 1."""

    id: UUID
    relevance: float


@dataclass(frozen=True, kw_only=True)
class Excerpts:
    """The texts of a highlight that a query matches, with `MARKS` around what it matches."""

    title: str
    description: str
    tags: tuple[str, ...]
    reasons: tuple[str, ...]
    commentary: str


async def read_query(session: AsyncSession, text: str) -> str:
    """Return the `tsquery` of a typed query, with its words as written."""
    spaced = spaced_characters(text)
    found = await session.scalar(select(cast(func.websearch_to_tsquery(_SIMPLE, spaced), Text)))
    return found or ""


async def stems(
    session: AsyncSession, *, words: Collection[str], languages: Collection[Language]
) -> dict[str, list[tuple[str, ...]]]:
    """Return what each language makes of each word: nothing of one too common to mean anything."""
    asked, spoken = _rows(words, "word"), _rows(languages, "language")
    stemmed = func.to_tsvector(func.search_configuration(spoken.c.language), asked.c.word)
    statement = select(asked.c.word, func.tsvector_to_array(stemmed)).select_from(
        asked.join(spoken, true())
    )
    found: dict[str, list[tuple[str, ...]]] = {each: [] for each in words}
    for word, lexemes in await session.execute(statement):
        found[word].append(tuple(lexemes))
    return found


async def languages(session: AsyncSession, *, tenant_id: UUID) -> list[Language]:
    """Return the languages of the tenant's streams and titles that can be stemmed.

    Takes as many steps through an index as there are different values.
    """
    spoken = await _distinct(session, Stream.language, tenant_id)
    titled = await _distinct(
        session, Stream.languages, tenant_id, Stream.languages != _NO_LANGUAGES
    )
    found = [*spoken, *(primary_language(tag) for tags in titled for tag in tags)]
    return [Language(each) for each in dict.fromkeys(found) if each in set(Language)]


async def vocabulary(session: AsyncSession, *, tenant_id: UUID, most: int) -> list[str]:
    """Return the words of titles, descriptions and tags, `most` at most.

    PostgreSQL would read all rows for a DISTINCT; this takes a step through the index for each.
    """
    return await _distinct(session, HighlightTerm.term, tenant_id, most=most)


async def known(session: AsyncSession, *, tenant_id: UUID, words: Collection[str]) -> set[str]:
    """Return those of the words that a highlight of the tenant's holds."""
    asked = _rows(words, "word")
    holds = exists().where(HighlightWord.tenant_id == tenant_id, HighlightWord.word == asked.c.word)
    return set(await session.scalars(select(asked.c.word).where(holds)))


async def find(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    query: TextQuery,
    criteria: HighlightFilter,
    after: Position | None = None,
    limit: int = 50,
) -> list[Hit]:
    """Return the highlights that match, the most relevant first, after a position.

    Relevance is how well the words match (where they stand, how often, how near to one another)
    and a quarter of it how good the highlight is, which decides among texts that say the same.
    """
    matched = (
        select(Highlight.id, Highlight.score, Highlight.document)
        .where(
            Highlight.tenant_id == tenant_id,
            *await conditions(session, tenant_id=tenant_id, criteria=criteria),
            *(_holds_one_of(tenant_id, words) for words in _rarest(query.needed)),
            _matches(query),
        )
        .order_by(Highlight.score.desc(), Highlight.id.desc())
        .limit(RANKED)
        .cte("matched")
    )
    rank = func.ts_rank_cd(_WEIGHTS, matched.c.document, _tsquery(query), _SATURATING)
    relevance = cast(rank, Double) * (0.75 + 0.25 * matched.c.score)
    ranked = select(matched.c.id, relevance.label("relevance")).cte("ranked")
    page = select(ranked.c.id, ranked.c.relevance)
    if after is not None:
        page = page.where(tuple_(ranked.c.relevance, ranked.c.id) < tuple_(after.value, after.id))
    page = page.order_by(ranked.c.relevance.desc(), ranked.c.id.desc()).limit(limit)
    return [Hit(id=row.id, relevance=row.relevance) for row in await session.execute(page)]


async def excerpts(
    session: AsyncSession, *, tenant_id: UUID, highlight_ids: Sequence[UUID], query: TextQuery
) -> dict[UUID, Excerpts]:
    """Return the texts of highlights with marks around what the query matches."""
    reasons = func.jsonb_path_query_array(Highlight.reasons, cast(_WORDS_OF_REASONS, JSONPATH))
    found = await session.execute(
        select(
            Highlight.id,
            _marked(func.translate(Highlight.title, "".join(MARKS), "", type_=Text()), query),
            _marked(func.translate(Highlight.description, "".join(MARKS), "", type_=Text()), query),
            _marked(_unmarked(Highlight.tags), query),
            _marked(_unmarked(reasons), query),
            _marked(func.translate(Highlight.commentary, "".join(MARKS), "", type_=Text()), query),
        ).where(Highlight.tenant_id == tenant_id, Highlight.id.in_(highlight_ids))
    )
    return {
        identity: Excerpts(
            title=title,
            description=description,
            tags=tuple(tags),
            reasons=tuple(reasons),
            commentary=commentary,
        )
        for identity, title, description, tags, reasons, commentary in found
    }


def _rarest(needed: Collection[frozenset[str]]) -> list[frozenset[str]]:
    """Return the sets to look rows up by; the document is matched by all of the query anyway."""
    return sorted(needed, key=lambda words: (-min(map(len, words)), sorted(words)))[:_MAX_SETS]


def _holds_one_of(tenant_id: UUID, words: Collection[str]) -> ColumnElement[bool]:
    return exists().where(
        HighlightWord.tenant_id == tenant_id,
        HighlightWord.word.in_(sorted(words)),
        HighlightWord.highlight_id == Highlight.id,
    )


def _matches(query: TextQuery) -> ColumnElement[bool]:
    """Return whether a document matches, in a form that PostgreSQL takes for an even chance.

    It would take `@@` for one in a thousand, and not walk the best highlights until enough are
    found. But rows that hold the words mostly do match.
    """
    return func.coalesce(Highlight.document.op("@@")(_tsquery(query)), false())


def _unmarked(texts: ColumnElement[Any] | InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    return cast(func.translate(cast(texts, Text), "".join(MARKS), ""), JSONB)


def _marked(text: ColumnElement[Any], query: TextQuery) -> ColumnElement[Any]:
    configuration = func.search_configuration(Highlight.language)
    return func.ts_headline(configuration, text, _tsquery(query), _OPTIONS, type_=text.type)


def _tsquery(query: TextQuery) -> ColumnElement[str]:
    return cast(literal(query.tsquery, Text), TSQUERY)


def _rows(values: Collection[str], name: str) -> TableValuedAlias:
    """Return values as rows of one column; the alias keeps it apart from a table's of that name."""
    texts = literal([str(value) for value in values], ARRAY(Text))
    return func.unnest(texts).table_valued(column(name, Text)).render_derived(f"each_{name}")


async def _distinct(
    session: AsyncSession,
    of: InstrumentedAttribute[Any],
    tenant_id: UUID,
    *conditions: ColumnElement[bool],
    most: int | None = None,
) -> list[Any]:
    own = (of.class_.tenant_id == tenant_id, *conditions)
    steps = select(func.min(of).label("value")).where(*own).cte("steps", recursive=True)
    further = select(func.min(of)).where(*own, of > steps.c.value).scalar_subquery()
    steps = steps.union_all(select(further).where(steps.c.value.is_not(None)))
    found = select(steps.c.value).where(steps.c.value.is_not(None)).limit(most)
    return list(await session.scalars(found))


MAX_SIMILAR: Final = 500
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
        .limit(MAX_SIMILAR)
    )
    return {each for each in found if each is not None}


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
        .limit(MAX_SIMILAR)
    )
    return set(found)
