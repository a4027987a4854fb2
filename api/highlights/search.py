"""Routes of highlight search: by words, and by similarity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import SearchReader
from api.errors.problems import (
    HighlightNotFoundProblem,
    InvalidCursorProblem,
    NothingToSearchForProblem,
)
from api.errors.reference import WITH_KEY, documented
from api.highlights.schemas import EXAMPLE, HighlightModel, HighlightQuery
from api.pagination import MAX_LIMIT, Cursor, Limit, Page, decode, next_cursor
from api.services import ServicesDependency
from app.services.highlights import find_similar
from app.services.search import NothingToSearchForError, ReadQuery
from domain.highlights.similarity import Resemblance
from domain.text import Name
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, highlights, search
from infra.db.repositories.search import MARKS, Excerpts

router = APIRouter(prefix="/v1/highlights", tags=["highlights"])
_EXAMPLE: Final[dict[str, Any]] = {
    "highlight": EXAMPLE,
    "relevance": 0.61,
    "matches": [
        {
            "field": "title",
            "pieces": [{"text": "The ", "match": False}, {"text": "crowd", "match": True}],
        }
    ],
}


class TextFragment(BaseModel):
    """A fragment of a text, as plain text."""

    text: str
    match: bool = Field(description="Whether this fragment matches the query.")


class TextMatch(BaseModel):
    """A matching text in fragments; joined, they are the whole text."""

    field: str = Field(
        description="`title`, `description`, `commentary`, or one of the `tags` or `reasons`."
    )
    pieces: list[TextFragment]


class FoundHighlight(BaseModel):
    """A search result."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    highlight: HighlightModel
    relevance: float = Field(
        description="From 0 to 1: three quarters by word match, one quarter by score."
    )
    matches: list[TextMatch]


class SpellingCorrection(BaseModel):
    """A word that none of your highlights contains, and the words searched for instead."""

    word: str = Field(examples=["penlaty"])
    instead: list[str] = Field(examples=[["penalty"]])


class SearchPage(Page[FoundHighlight]):
    """Search results, most relevant first."""

    corrections: list[SpellingCorrection] = Field(description="Words treated as misspelled.")


@router.get(
    "/search",
    operation_id="searchHighlights",
    responses=documented(
        *WITH_KEY,
        InvalidCursorProblem,
        NothingToSearchForProblem,
    ),
)
async def search_highlights(
    *,
    caller: SearchReader,
    services: ServicesDependency,
    criteria: HighlightQuery,
    q: Annotated[
        Name,
        Query(
            description='Words, "phrases", `or` between alternatives, `-` before excluded words.'
        ),
    ],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> SearchPage:
    """Search highlights by title, description, tags, reasons, game and commentary.

    Words match in all their forms in the languages of your streams (`language` of analyzeStream). A
    word that no highlight contains is replaced by the nearest ones that exist; `corrections` lists
    the replacements. If more than 1,000 highlights match, the 1,000 with the highest scores are
    ranked.
    """
    async with services.database.session(caller.tenant_id) as session:
        try:
            read = await services.queries.read(session, tenant_id=caller.tenant_id, text=q)
        except NothingToSearchForError:
            raise NothingToSearchForProblem from None
        order = _order(read)
        hits = await search.find(
            session,
            tenant_id=caller.tenant_id,
            query=read.query,
            criteria=criteria,
            after=decode(cursor, sort=order, by_time=False),
            limit=limit + 1,
        )
        ids = [hit.id for hit in hits[:limit]]
        rows = await highlights.get_many(session, tenant_id=caller.tenant_id, highlight_ids=ids)
        newest = await clips.latest_by_highlight(
            session, tenant_id=caller.tenant_id, highlight_ids=ids
        )
        texts = await search.excerpts(
            session, tenant_id=caller.tenant_id, highlight_ids=ids, query=read.query
        )
    return SearchPage(
        data=[
            FoundHighlight(
                highlight=HighlightModel.of(rows[hit.id], newest.get(hit.id), services),
                relevance=hit.relevance,
                matches=_matches(texts[hit.id]),
            )
            for hit in hits[:limit]
            if hit.id in rows and hit.id in texts  # may have been deleted meanwhile
        ],
        next_cursor=next_cursor(hits, limit=limit, column="relevance", sort=order),
        corrections=[
            SpellingCorrection(word=each.word, instead=list(each.instead))
            for each in read.corrections
        ],
    )


def _order(read: ReadQuery) -> str:
    """Return the name of the result order: a cursor is valid for the same query only."""
    return f"relevance-{hashlib.sha256(read.query.tsquery.encode()).hexdigest()[:12]}"


def _matches(texts: Excerpts) -> list[TextMatch]:
    fields: Iterable[tuple[str, str]] = (
        ("title", texts.title),
        ("description", texts.description),
        *(("tags", tag) for tag in texts.tags),
        *(("reasons", reason) for reason in texts.reasons),
        ("commentary", texts.commentary),
    )
    return [
        TextMatch(field=field, pieces=_pieces(text)) for field, text in fields if MARKS[0] in text
    ]


def _pieces(marked: str) -> list[TextFragment]:
    pieces = []
    for part in marked.split(MARKS[0]):
        match, closed, rest = part.partition(MARKS[1])
        if not closed:
            match, rest = "", part
        pieces += [TextFragment(text=match, match=True), TextFragment(text=rest, match=False)]
    return [piece for piece in pieces if piece.text]


_EXAMPLE_OF_SIMILAR: Final[dict[str, Any]] = {
    "highlight": EXAMPLE,
    "similarity": 0.94,
    "picture_distance": 3,
    "near_duplicate": True,
    "signs": ["their pictures differ by 3 bits of 64", "their tags agree to 100%"],
}


class SimilarHighlight(BaseModel):
    """A highlight that resembles the given one."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_OF_SIMILAR]})

    highlight: HighlightModel
    similarity: float = Field(
        description="From 0 to 1: half by picture, half by text and tags, as far as known."
    )
    picture_distance: int | None = Field(
        description="Differing bits, of 64, of the thumbnails' perceptual hashes: about 32 for "
        "unrelated pictures. Null if either has no hash."
    )
    near_duplicate: bool = Field(
        description="Whether two of picture, text and tags match within the profile's limits."
    )
    signs: list[str] = Field(description="What matches, in words.")

    @classmethod
    def of(cls, how: Resemblance, highlight: HighlightModel) -> Self:
        """Return a highlight with its similarity."""
        return cls(
            highlight=highlight,
            similarity=how.similarity,
            picture_distance=how.picture_distance,
            near_duplicate=how.is_near_duplicate,
            signs=list(how.signs),
        )


class SimilarHighlights(BaseModel):
    """Similar highlights, most similar first."""

    data: list[SimilarHighlight]


@router.get(
    "/{highlight_id}/similar",
    operation_id="similarHighlights",
    responses=documented(
        *WITH_KEY,
        HighlightNotFoundProblem,
    ),
)
async def find_similar_highlights(
    *,
    highlight_id: UUID,
    caller: SearchReader,
    services: ServicesDependency,
    limit: Annotated[
        int, Query(ge=1, le=MAX_LIMIT, description="Maximum number of highlights.")
    ] = 20,
) -> SimilarHighlights:
    """Find highlights that look like this one or share words of its title.

    Looks are compared by perceptual hashes of the clips' thumbnails, so that the same scene matches
    in another encoding or size. The 500 newest highlights of each kind are compared.
    """
    try:
        found = await find_similar(
            services.database,
            services.pinned,
            tenant_id=caller.tenant_id,
            highlight_id=highlight_id,
            limit=limit,
        )
    except RecordMissingError:
        raise HighlightNotFoundProblem from None
    return SimilarHighlights(
        data=[
            SimilarHighlight.of(each.how, HighlightModel.of(each.highlight, each.clip, services))
            for each in found
        ]
    )
