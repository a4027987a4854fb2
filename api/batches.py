"""Many things in one request, each with an answer of its own."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.auth import Reader, Writer
from api.errors.problems import (
    BodyTooLargeProblem,
    HighlightNotFoundProblem,
    InvalidRequestProblem,
    MalformedJsonProblem,
    MissingScopeProblem,
    Problem,
    StreamNotFoundProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
    UnsupportedMediaTypeProblem,
)
from api.errors.reference import documented
from api.highlights.schemas import HighlightModel
from api.middleware.json_content import require_json
from api.request_model import RequestModel
from api.services import Services, ServicesDependency
from api.streams.schemas import StreamModel
from api.streams.stopping import stop
from infra.db.repositories import clips, highlights, streams
from infra.db.tables import Stream
from infra.temporal.client import TemporalUnavailableError

_MAX_HIGHLIGHTS: Final = 100
_MAX_STREAMS: Final = 50
_AT_A_TIME: Final = 8
_IDS: Final[list[JsonValue]] = [
    "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
    "8f1d2c3b-0a9e-5d77-8b6f-1c2d3e4f5a6b",
]
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = documented(
    UnauthenticatedProblem,
    MissingScopeProblem,
    InvalidRequestProblem,
    UnavailableProblem,
    MalformedJsonProblem,
    BodyTooLargeProblem,
    UnsupportedMediaTypeProblem,
)
router = APIRouter(prefix="/v1")


class ItemProblem(BaseModel):
    """Why there is no answer for one id; as in a problem document."""

    code: str
    status: int
    detail: str


class HighlightIds(RequestModel):
    """The highlights to read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": _IDS}]})

    ids: Annotated[list[UUID], Field(min_length=1, max_length=_MAX_HIGHLIGHTS)]


class HighlightResult(BaseModel):
    """A highlight, or why there is none."""

    id: UUID
    highlight: HighlightModel | None = None
    problem: ItemProblem | None = None


class HighlightResults(BaseModel):
    """A result for each id, in the order of the request; each id once."""

    data: list[HighlightResult]


class StreamIds(RequestModel):
    """The streams to stop."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": _IDS}]})

    ids: Annotated[list[UUID], Field(min_length=1, max_length=_MAX_STREAMS)]


class StreamResult(BaseModel):
    """A stream as it is now, or why it could not be stopped."""

    id: UUID
    stream: StreamModel | None = None
    problem: ItemProblem | None = None


class StreamResults(BaseModel):
    """A result for each id, in the order of the request; each id once."""

    data: list[StreamResult]


@router.post(
    "/highlights/batch-get",
    operation_id="batchGetHighlights",
    tags=["highlights"],
    dependencies=[Depends(require_json)],
    responses=_RESPONSES,
)
async def batch_get_highlights(
    body: HighlightIds, caller: Reader, services: ServicesDependency
) -> HighlightResults:
    """Read up to 100 highlights, with their clips, in one request."""
    ids = list(dict.fromkeys(body.ids))
    async with services.database.session(caller.tenant_id) as session:
        rows = await highlights.get_many(session, tenant_id=caller.tenant_id, highlight_ids=ids)
        newest = await clips.latest_by_highlight(
            session, tenant_id=caller.tenant_id, highlight_ids=list(rows)
        )
    missing = _problem(HighlightNotFoundProblem())
    return HighlightResults(
        data=[
            HighlightResult(
                id=identity,
                highlight=HighlightModel.of(rows[identity], newest.get(identity), services),
            )
            if identity in rows
            else HighlightResult(id=identity, problem=missing)
            for identity in ids
        ]
    )


@router.post(
    "/streams/batch-stop",
    operation_id="batchStopStreams",
    tags=["streams"],
    dependencies=[Depends(require_json)],
    responses=_RESPONSES,
)
async def batch_stop_streams(
    body: StreamIds, caller: Writer, services: ServicesDependency
) -> StreamResults:
    """Stop up to 50 streams in good order, in one request. What fails for one fails for it alone.

    Send the request again for those that failed: stopping twice is stopping once.
    """
    ids = list(dict.fromkeys(body.ids))
    async with services.database.session(caller.tenant_id) as session:
        rows = await streams.get_many(session, tenant_id=caller.tenant_id, stream_ids=ids)
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def result(identity: UUID) -> StreamResult:
        async with turns:
            return await _stop(services, identity, rows.get(identity))

    return StreamResults(data=await asyncio.gather(*map(result, ids)))


async def _stop(services: Services, identity: UUID, row: Stream | None) -> StreamResult:
    if row is None:
        return StreamResult(id=identity, problem=_problem(StreamNotFoundProblem()))
    try:
        return StreamResult(id=identity, stream=await stop(services, row))
    except TemporalUnavailableError:
        return StreamResult(id=identity, problem=_problem(UnavailableProblem()))


def _problem(problem: Problem) -> ItemProblem:
    return ItemProblem(code=problem.code, status=problem.status, detail=problem.detail)
