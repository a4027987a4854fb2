"""Routes of a stream's chapters, and of its timeline for editing programs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Reader
from api.errors.problems import FieldProblem, InvalidRequestProblem, StreamNotFoundProblem
from api.errors.reference import WITH_KEY, documented
from api.services import Services, ServicesDependency
from domain.highlights.chapters import Chapter, ChapterKind, ChapterMoment, chapters_of
from domain.highlights.explanation import headline
from domain.highlights.selection import DecisionStatus
from domain.text import LanguageTag
from infra.db.repositories import highlights, streams
from infra.db.repositories.highlights import HighlightFilter
from infra.db.tables import Highlight, Stream
from infra.timeline_file import (
    MEDIA_TYPES,
    FrameRate,
    TimelineFile,
    TimelineFormat,
    TimelineLayout,
)

router = APIRouter(prefix="/v1/streams/{stream_id}", tags=["streams"])
_MOST: Final = 999
_SHOWN: Final = (DecisionStatus.PENDING, DecisionStatus.CONFIRMED)
_LONGEST_MEDIA: Final = 2048
TitleLanguage = Annotated[
    LanguageTag | None,
    Query(
        description="One of the stream's `languages`, for titles and tags. By default, and for "
        "highlights without a title in it, the highlight's own."
    ),
]
MinScore = Annotated[
    float | None, Query(ge=0, le=1, description="Leave out highlights with a lower score.")
]


class ChapterModel(BaseModel):
    """A part of a stream; seconds of media time."""

    start: float
    end: float
    kind: ChapterKind
    title: str = Field(description="Empty between highlights.")
    highlight_id: UUID | None
    score: float | None
    tags: list[str]

    @classmethod
    def of(cls, chapter: Chapter) -> Self:
        """Return a chapter."""
        moment = chapter.moment
        return cls(
            start=chapter.start,
            end=chapter.end,
            kind=chapter.kind,
            title=chapter.title,
            highlight_id=None if moment is None else moment.highlight_id,
            score=None if moment is None else moment.score,
            tags=[] if moment is None else list(moment.tags),
        )


class ChapterList(BaseModel):
    """The chapters of a stream, in order; they cover it without overlap."""

    data: list[ChapterModel]


@router.get(
    "/chapters",
    operation_id="listStreamChapters",
    responses=documented(*WITH_KEY, StreamNotFoundProblem),
)
async def list_stream_chapters(
    stream_id: UUID,
    caller: Reader,
    services: ServicesDependency,
    min_score: MinScore = None,
    language: TitleLanguage = None,
) -> ChapterList:
    """List a stream's highlights, and what lies between them, as chapters from 0 to the end.

    A highlight has the bounds of its clip. Up to 999 highlights are shown, the best ones.
    """
    _, found = await _chapters(services, caller.tenant_id, stream_id, min_score, language)
    return ChapterList(data=[ChapterModel.of(each) for each in found])


@router.get(
    "/timeline",
    operation_id="getStreamTimeline",
    response_class=Response,
    responses={
        200: {
            "description": "The file.",
            "content": {
                each: {"schema": {"type": "string"}} for each in sorted(set(MEDIA_TYPES.values()))
            },
        },
        **documented(*WITH_KEY, StreamNotFoundProblem),
    },
)
async def get_stream_timeline(
    *,
    stream_id: UUID,
    caller: Reader,
    services: ServicesDependency,
    form: Annotated[
        TimelineFormat,
        Query(
            alias="format",
            description="`edl` (CMX 3600), `otio` (OpenTimelineIO), `fcpxml` (Final Cut Pro 10.4 "
            "and later) or `csv`. The same as JSON: `listStreamChapters`.",
        ),
    ],
    rate: Annotated[
        FrameRate | None,
        Query(description="Frame rate of your recording; all formats but `csv` need it."),
    ] = None,
    layout: Annotated[
        TimelineLayout,
        Query(
            description="`stream` places highlights where they are, with gaps; `cut` one after "
            "the other."
        ),
    ] = TimelineLayout.STREAM,
    media: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_MEDIA)] | None,
        Query(
            description="File name or URL of your recording, whose first picture is second 0 of "
            "the stream. By default `<stream_id>.mp4`, to be relinked."
        ),
    ] = None,
    min_score: MinScore = None,
    language: TitleLanguage = None,
) -> Response:
    """Read a stream's highlights as a timeline for an editing program.

    Every highlight is a clip of one recording, cut to whole frames, with its title, score and tags.
    `29.97` and `59.94` count drop-frame timecode. Up to 999 highlights are shown, the best ones.
    """
    if rate is None and form is not TimelineFormat.CSV:
        detail = f"is required with the format `{form}`: the frame rate of your recording"
        raise InvalidRequestProblem(errors=[FieldProblem(pointer="query/rate", detail=detail)])
    stream, found = await _chapters(services, caller.tenant_id, stream_id, min_score, language)
    file = TimelineFile(
        name=stream.title or f"Stream {stream_id}",
        reel=str(stream_id),
        media=media or f"{stream_id}.mp4",
        end=stream.position,
        chapters=found,
        layout=layout,
    )
    text = await asyncio.to_thread(file.text, form, rate)
    return Response(
        text,
        media_type=f"{MEDIA_TYPES[form]}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{stream_id}.{form}"'},
    )


async def _chapters(
    services: Services,
    tenant_id: UUID,
    stream_id: UUID,
    min_score: float | None,
    language: str | None,
) -> tuple[Stream, tuple[Chapter, ...]]:
    async with services.database.session(tenant_id) as session:
        stream = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
        if stream is None:
            raise StreamNotFoundProblem
        rows = await _best(session, tenant_id, stream_id, min_score)
    found = [_moment(row, language) for row in rows]
    end = max([stream.position, *(each.end for each in found)])
    return stream, chapters_of(found, end=end)


async def _best(
    session: AsyncSession, tenant_id: UUID, stream_id: UUID, min_score: float | None
) -> list[Highlight]:
    return await highlights.best(
        session,
        tenant_id=tenant_id,
        criteria=HighlightFilter(stream_id=stream_id, statuses=_SHOWN, min_score=min_score),
        limit=_MOST,
    )


def _moment(row: Highlight, language: str | None) -> ChapterMoment:
    texts = highlights.title_in(row, language)
    title = headline(row.title, game=row.game, tags=row.tags, peak=row.peak)
    return ChapterMoment(
        highlight_id=row.id,
        title=title if texts is None else texts.title,
        start=row.clip_start,
        end=row.clip_end,
        score=row.score,
        tags=tuple(row.tags) if texts is None else texts.tags,
    )
