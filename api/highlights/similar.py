"""Highlights that look and read like another."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import ReaderInTurn
from api.errors.problems import (
    HighlightNotFoundProblem,
    InvalidRequestProblem,
    MissingScopeProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
)
from api.errors.reference import documented
from api.highlights.schemas import EXAMPLE, HighlightModel
from api.pagination import MAX_LIMIT
from api.services import ServicesDependency
from domain.highlights.selection import HIDDEN
from domain.highlights.similarity import Impression, Resemblance, describe, resemblance
from infra.db.repositories import clips, highlights, search
from infra.db.repositories.clips import ClipRow
from infra.db.tables import Highlight

router = APIRouter(prefix="/v1/highlights", tags=["highlights"])
_EXAMPLE: Final[dict[str, Any]] = {
    "highlight": EXAMPLE,
    "similarity": 0.94,
    "picture_distance": 3,
    "near_duplicate": True,
    "signs": ["their pictures differ by 3 bits of 64", "their tags agree to 100%"],
}


class SimilarHighlight(BaseModel):
    """A highlight that resembles the one asked about."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    highlight: HighlightModel
    similarity: float = Field(
        description="From 0 to 1: half by the picture, half by text and tags, as far as known."
    )
    picture_distance: int | None = Field(
        description="Bits of 64 in which the perceptual hashes of the thumbnails differ: about 32 "
        "for pictures that have nothing to do with each other. Null without both."
    )
    near_duplicate: bool = Field(
        description="Whether two of picture, text and tags agree within the profile's limits."
    )
    signs: list[str] = Field(description="What agrees, in words.")

    @classmethod
    def of(cls, how: Resemblance, highlight: HighlightModel) -> Self:
        """Return a highlight with how it resembles the other."""
        return cls(
            highlight=highlight,
            similarity=how.similarity,
            picture_distance=how.picture_distance,
            near_duplicate=how.is_near_duplicate,
            signs=list(how.signs),
        )


class SimilarHighlights(BaseModel):
    """Highlights that resemble another, the most similar first."""

    data: list[SimilarHighlight]


@router.get(
    "/{highlight_id}/similar",
    operation_id="similarHighlights",
    responses=documented(
        UnauthenticatedProblem,
        MissingScopeProblem,
        InvalidRequestProblem,
        UnavailableProblem,
        HighlightNotFoundProblem,
    ),
)
async def find_similar_highlights(
    *,
    highlight_id: UUID,
    caller: ReaderInTurn,
    services: ServicesDependency,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Highlights at most.")] = 20,
) -> SimilarHighlights:
    """Find highlights that look like this one or have the words of its title.

    Pictures are the clips' thumbnails, compared by perceptual hash: the same scene encoded or
    scaled anew is near. Of either kind the 500 newest are compared.
    """
    tenant = caller.tenant_id
    async with services.database.session(tenant) as session:
        about = await highlights.get(session, tenant_id=tenant, highlight_id=highlight_id)
        if about is None:
            raise HighlightNotFoundProblem
        own = await clips.latest_by_highlight(
            session, tenant_id=tenant, highlight_ids=[highlight_id]
        )
        impression = _impression(about, own.get(highlight_id))
        titled = await search.by_title(
            session, tenant_id=tenant, highlight_id=highlight_id, title=about.title
        )
        pictured = await search.by_picture(
            session,
            tenant_id=tenant,
            highlight_id=highlight_id,
            thumbnail_hash=impression.thumbnail_hash,
        )
        ids = sorted(titled | pictured)
        rows = await highlights.get_many(session, tenant_id=tenant, highlight_ids=ids)
        newest = await clips.latest_by_highlight(session, tenant_id=tenant, highlight_ids=ids)
    pinned = await services.pinned.find(tenant, about.profile_id, about.profile_version)
    alike = []
    for row in rows.values():
        other = _impression(row, newest.get(row.id))
        how = resemblance(impression, other, pinned.profile.similarity)
        if row.status not in HIDDEN and (row.id in titled or how.looks_alike):
            alike.append((how, row))
    alike.sort(key=lambda each: (-each[0].similarity, each[1].id))
    return SimilarHighlights(
        data=[
            SimilarHighlight.of(how, HighlightModel.of(row, newest.get(row.id), services))
            for how, row in alike[:limit]
        ]
    )


def _impression(row: Highlight, clip: ClipRow | None) -> Impression:
    return Impression(
        start=row.start,
        end=row.end,
        text=describe(row.title, row.description),
        tags=tuple(row.tags),
        thumbnail_hash=None if clip is None else clip.thumbnail_hash,
    )
