"""Routes of streams: start an analysis, read, stop and delete streams."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import AuditActor, Reader, Writer
from api.errors.problems import (
    BodyTooLargeProblem,
    IdempotencyMismatchProblem,
    InvalidCursorProblem,
    LegalHoldProblem,
    MalformedJsonProblem,
    RequestInProgressProblem,
    StreamNotFoundProblem,
    StreamQuotaExceededProblem,
    UnavailableProblem,
    UnsupportedMediaTypeProblem,
    UrlForbiddenProblem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.middleware.request_context import request_id_of
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.services import Services, ServicesDependency
from api.streams.creation import created_stream
from api.streams.schemas import (
    AnalyzeRequest,
    BatchStopItem,
    StreamDetail,
    StreamIds,
    StreamModel,
    StreamPatch,
    StreamResults,
)
from app.services import streams as stream_service
from app.services.highlights import change_stream_policy
from app.services.streams import NewStream
from domain.streams.deletion import LegalHoldError
from domain.streams.status import TERMINAL, StreamStatus
from domain.text import Name
from infra.db.errors import RecordMissingError
from infra.db.repositories import streams
from infra.db.tables import Stream
from infra.ssrf import UrlForbiddenError
from infra.temporal.client import TemporalUnavailableError

_NEWEST: Final = "-created_at"
router = APIRouter(prefix="/v1/streams", tags=["streams"])
_CONCURRENT_STOPS: Final = 8


@router.post(
    "/analyze",
    operation_id="analyzeStream",
    status_code=201,
    response_model=StreamModel,
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        MalformedJsonProblem,
        RequestInProgressProblem,
        StreamQuotaExceededProblem,
        BodyTooLargeProblem,
        UnsupportedMediaTypeProblem,
        UrlForbiddenProblem,
        IdempotencyMismatchProblem,
    ),
)
async def analyze_stream(
    body: AnalyzeRequest,
    caller: Writer,
    services: ServicesDependency,
    request: Request,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Start finding highlights in a live stream.

    The game selects the profile with your overrides, which stays the same until the stream ends.

    The response is immediate, with the stream in status `starting`. If the URL turns out not to be
    a live playlist, the stream ends with a reason. Send an `Idempotency-Key`, so that a retry does
    not start a second analysis.
    """
    try:
        services.url_guard.check(body.url)
    except UrlForbiddenError as error:
        raise UrlForbiddenProblem(str(error)) from error

    async def create(session: AsyncSession, stream_id: UUID) -> Created:
        new = NewStream(
            tenant_id=caller.tenant_id,
            stream_id=stream_id,
            playlist_url=body.url,
            game=body.game,
            title=body.title,
            language=body.language,
            languages=body.languages,
            criteria=body.criteria,
            external_id=body.external_id,
            policy=body.policy,
            options=body.options.model_dump(exclude_none=True),
            correlation_id=request_id_of(request.scope),
        )
        return await created_stream(services, session, new)

    once = IdempotentRequest(
        tenant_id=caller.tenant_id, key=idempotency_key, operation="analyzeStream", body=body
    )
    return await once.respond(services.database, create)


@router.get(
    "",
    operation_id="listStreams",
    responses=documented(*WITH_KEY, InvalidCursorProblem),
)
async def list_streams(
    *,
    caller: Reader,
    services: ServicesDependency,
    status: StreamStatus | None = None,
    game: Annotated[Name | None, Query(description="A profile's id, such as `soccer`.")] = None,
    external_id: Name | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[StreamModel]:
    """List streams, newest first."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await streams.list_page(
            session,
            tenant_id=caller.tenant_id,
            status=status,
            game=game,
            external_id=external_id,
            after=after,
            limit=limit + 1,
        )
    return Page(
        data=[StreamModel.of(row) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


@router.get(
    "/{stream_id}",
    operation_id="getStream",
    responses=documented(*WITH_KEY, StreamNotFoundProblem),
)
async def get_stream(stream_id: UUID, caller: Reader, services: ServicesDependency) -> StreamDetail:
    """Read a stream: the stored state, updated from the running analysis if it responds."""
    async with services.database.session(caller.tenant_id) as session:
        row = await streams.get(session, tenant_id=caller.tenant_id, stream_id=stream_id)
        if row is None:
            raise StreamNotFoundProblem
        gaps = await streams.gaps(session, tenant_id=caller.tenant_id, stream_id=stream_id)
    detail = StreamDetail.of(row).with_gaps(gaps)
    if detail.status in TERMINAL:
        return detail
    live = await services.starter.live_progress(row)
    return detail if live is None else detail.with_progress(live)


@router.patch(
    "/{stream_id}",
    operation_id="updateStream",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, StreamNotFoundProblem),
)
async def update_stream(
    stream_id: UUID,
    body: StreamPatch,
    caller: Writer,
    actor: AuditActor,
    services: ServicesDependency,
) -> StreamModel:
    """Change the publication policy of a stream, running or ended, and of its highlights.

    It applies at once to every link. Highlights that exist keep the status of their review; a
    change of `review` applies to those that follow. No webhook is sent.
    """
    fields = body.policy.model_dump(mode="json", exclude_unset=True)
    async with services.database.session(caller.tenant_id) as session:
        try:
            await change_stream_policy(
                session,
                tenant_id=caller.tenant_id,
                stream_id=stream_id,
                fields=fields,
                actor=actor,
            )
        except RecordMissingError:
            raise StreamNotFoundProblem from None
        row = await streams.get(session, tenant_id=caller.tenant_id, stream_id=stream_id)
    if row is None:
        raise StreamNotFoundProblem
    return StreamModel.of(row)


@router.post(
    "/{stream_id}/stop",
    operation_id="stopStream",
    status_code=202,
    responses=documented(*WITH_KEY, StreamNotFoundProblem),
)
async def stop_stream(stream_id: UUID, caller: Writer, services: ServicesDependency) -> StreamModel:
    """Stop a stream gracefully: fetched media is analyzed and clips are rendered.

    Does nothing if the stream has ended.
    """
    async with services.database.session(caller.tenant_id) as session:
        row = await streams.get(session, tenant_id=caller.tenant_id, stream_id=stream_id)
    if row is None:
        raise StreamNotFoundProblem
    return await _stop(services, row)


@router.post(
    "/batch-stop",
    operation_id="batchStopStreams",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY),
)
async def batch_stop_streams(
    body: StreamIds, caller: Writer, services: ServicesDependency
) -> StreamResults:
    """Stop up to 50 streams gracefully. A failure affects only its own stream.

    Retry those that failed; stopping a stream twice is harmless.
    """
    ids = list(dict.fromkeys(body.ids))
    async with services.database.session(caller.tenant_id) as session:
        rows = await streams.get_many(session, tenant_id=caller.tenant_id, stream_ids=ids)
    slots = asyncio.Semaphore(_CONCURRENT_STOPS)

    async def result(identity: UUID) -> BatchStopItem:
        async with slots:
            return await _stop_one(services, identity, rows.get(identity))

    return StreamResults(data=await asyncio.gather(*map(result, ids)))


@router.delete(
    "/{stream_id}",
    operation_id="deleteStream",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, StreamNotFoundProblem, LegalHoldProblem),
)
async def delete_stream(
    stream_id: UUID, caller: Writer, actor: AuditActor, services: ServicesDependency
) -> Response:
    """Delete a stream with its highlights, feedback, clips and exports, files included.

    A running stream is stopped immediately. Usage records are kept. If the request fails, retry it:
    deletion continues where it stopped, and once the stream is gone the response is 404. `Location`
    is the deletion, which says what was deleted.
    """
    try:
        deletion = await services.deletions.delete_now(
            tenant_id=caller.tenant_id, stream_id=stream_id, actor=actor
        )
    except RecordMissingError:
        raise StreamNotFoundProblem from None
    except LegalHoldError as error:
        raise LegalHoldProblem(str(error)) from None
    return Response(status_code=204, headers={"Location": f"/v1/deletions/{deletion}"})


async def _stop(services: Services, row: Stream) -> StreamModel:
    stream, status = await stream_service.stop(services.database, services.starter, row)
    return StreamModel.of(stream, status=status)


async def _stop_one(services: Services, identity: UUID, row: Stream | None) -> BatchStopItem:
    if row is None:
        return BatchStopItem(id=identity, problem=StreamNotFoundProblem().of_item())
    try:
        return BatchStopItem(id=identity, stream=await _stop(services, row))
    except TemporalUnavailableError:
        return BatchStopItem(id=identity, problem=UnavailableProblem().of_item())
