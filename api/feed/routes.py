"""Routes of feed events, of the feed clock, and of the highlights of a subject."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Reader, Writer
from api.errors.problems import InvalidCursorProblem, StreamNotFoundProblem
from api.errors.reference import IDEMPOTENT, WITH_BODY, WITH_KEY, documented
from api.feed.schemas import (
    FeedClockModel,
    FeedClockRequest,
    FeedEventModel,
    FeedEventResults,
    FeedEventsRequest,
)
from api.highlights.schemas import HighlightModel
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.services import ServicesDependency
from app.services.feed.feed_service import clock_of
from domain.feed.clock import ClockSource, FeedClock
from domain.feed.models import FeedBatch, FeedOutcome, Subject
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, highlights, streams
from infra.db.repositories.feed import feed_events
from infra.db.repositories.highlights import HighlightFilter
from infra.db.repositories.idempotency import StoredResponse

_RECEIVED: Final = "-received_at"
_NEWEST: Final = "-created_at"
router = APIRouter(prefix="/v1", tags=["feed"])
SubjectPath = Annotated[Subject, Path(description="Your reference, such as that of a bet.")]


@router.post(
    "/streams/{stream_id}/events",
    operation_id="sendFeedEvents",
    status_code=202,
    response_model=FeedEventResults,
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, *IDEMPOTENT, StreamNotFoundProblem),
)
async def send_feed_events(
    *,
    stream_id: UUID,
    body: FeedEventsRequest,
    caller: Writer,
    services: ServicesDependency,
    request: Request,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Send up to 100 events of your feed: scores, odds, settled bets.

    An event replaces a lower revision of the same `id`, in any order of arrival; sending it again
    changes nothing. The answer has what became of each event so far, which is `waiting` for most
    events of a live stream: list them for their outcome, or subscribe to `subject.highlight`.

    A stream takes as many events in a minute as your plan allows (the limit `feed`). A request that
    exceeds it gets 429, and none of its events is stored.
    """
    once = IdempotentRequest(
        tenant_id=caller.tenant_id,
        key=idempotency_key,
        operation=f"sendFeedEvents {stream_id}",
        body=body,
    )
    new = FeedBatch(events=tuple(body.events)).latest()

    async def create(session: AsyncSession, _id: UUID) -> Created:
        # Here, so that a replayed response costs nothing.
        await services.limits.charge_feed_events(
            request.scope, tenant_id=caller.tenant_id, stream_id=stream_id, events=len(new)
        )
        try:
            stream, rows = await services.feed.store(
                session, tenant_id=caller.tenant_id, stream_id=stream_id, new=new
            )
        except RecordMissingError:
            raise StreamNotFoundProblem from None
        subjects = await feed_events.subjects_of(
            session, tenant_id=caller.tenant_id, event_ids=[row.id for row in rows]
        )
        results = FeedEventResults(
            data=[FeedEventModel.of(row, subjects.get(row.id, ())) for row in rows]
        )

        async def start() -> None:
            await services.feed.notify(stream, rows)

        response = StoredResponse(status=202, headers={}, body=results.model_dump(mode="json"))
        return Created(response=response, start=start)

    return await once.respond(services.database, create)


@router.get(
    "/streams/{stream_id}/feed-events",
    operation_id="listFeedEvents",
    responses=documented(*WITH_KEY, InvalidCursorProblem, StreamNotFoundProblem),
)
async def list_feed_events(
    *,
    stream_id: UUID,
    caller: Reader,
    services: ServicesDependency,
    outcome: Annotated[FeedOutcome | None, Query(description="Only events with it.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[FeedEventModel]:
    """List the events of a stream's feed with what became of them, newest first."""
    after = decode(cursor, sort=_RECEIVED, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        stream = await streams.get(session, tenant_id=caller.tenant_id, stream_id=stream_id)
        if stream is None:
            raise StreamNotFoundProblem
        rows = await feed_events.list_page(
            session,
            tenant_id=caller.tenant_id,
            stream_id=stream_id,
            outcome=outcome,
            after=after,
            limit=limit + 1,
        )
        subjects = await feed_events.subjects_of(
            session, tenant_id=caller.tenant_id, event_ids=[row.id for row in rows]
        )
    return Page(
        data=[FeedEventModel.of(row, subjects.get(row.id, ())) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="received_at", sort=_RECEIVED),
    )


@router.get(
    "/streams/{stream_id}/feed-clock",
    operation_id="getFeedClock",
    responses=documented(*WITH_KEY, StreamNotFoundProblem),
)
async def get_feed_clock(
    stream_id: UUID, caller: Reader, services: ServicesDependency
) -> FeedClockModel:
    """Read how far a stream's feed is from its picture."""
    async with services.database.session(caller.tenant_id) as session:
        stream = await streams.get(session, tenant_id=caller.tenant_id, stream_id=stream_id)
    if stream is None:
        raise StreamNotFoundProblem
    return FeedClockModel.of(clock_of(stream))


@router.put(
    "/streams/{stream_id}/feed-clock",
    operation_id="putFeedClock",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, StreamNotFoundProblem),
)
async def put_feed_clock(
    stream_id: UUID, body: FeedClockRequest, caller: Writer, services: ServicesDependency
) -> FeedClockModel:
    """Set the feed clock of a stream, which is then no longer estimated.

    Events that wait are placed by it; those that are linked stay where they are.
    """
    clock = FeedClock(source=ClockSource.SET, offset=body.offset, error=body.error)
    async with services.database.session(caller.tenant_id) as session:
        written = await feed_events.put_clock(
            session, tenant_id=caller.tenant_id, stream_id=stream_id, clock=clock
        )
    if not written:
        raise StreamNotFoundProblem
    return FeedClockModel.of(clock)


@router.delete(
    "/streams/{stream_id}/feed-clock",
    operation_id="deleteFeedClock",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, StreamNotFoundProblem),
)
async def delete_feed_clock(
    stream_id: UUID, caller: Writer, services: ServicesDependency
) -> Response:
    """Forget the feed clock of a stream, which is estimated again from the next events on."""
    async with services.database.session(caller.tenant_id) as session:
        written = await feed_events.put_clock(
            session, tenant_id=caller.tenant_id, stream_id=stream_id, clock=None
        )
    if not written:
        raise StreamNotFoundProblem
    return Response(status_code=204)


@router.get(
    "/subjects/{subject}/highlights",
    operation_id="listSubjectHighlights",
    responses=documented(*WITH_KEY, InvalidCursorProblem),
)
async def list_subject_highlights(
    *,
    subject: SubjectPath,
    caller: Reader,
    services: ServicesDependency,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[HighlightModel]:
    """List the highlights of a subject, such as a bet, newest first.

    They are the moments that events with this subject strengthened, made or belong to.
    """
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await highlights.list_page(
            session,
            tenant_id=caller.tenant_id,
            criteria=HighlightFilter(subject=subject),
            after=after,
            limit=limit + 1,
        )
        newest = await clips.latest_by_highlight(
            session, tenant_id=caller.tenant_id, highlight_ids=[row.id for row in rows]
        )
    return Page(
        data=[HighlightModel.of(row, newest.get(row.id), services) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


@router.delete(
    "/subjects/{subject}",
    operation_id="deleteSubject",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY),
)
async def delete_subject(
    subject: SubjectPath, caller: Writer, services: ServicesDependency
) -> Response:
    """Delete a reference from all events of all streams. Highlights stay."""
    async with services.database.session(caller.tenant_id) as session:
        await feed_events.forget_subject(session, tenant_id=caller.tenant_id, subject=subject)
    return Response(status_code=204)
