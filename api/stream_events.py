"""Server-sent events of one stream: its highlights, their clips and its state, as they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Receive, Send
from starlette.types import Scope as ConnectionScope

from api.auth import Permit, Reader
from api.problem_reference import documented
from api.problems import (
    InvalidRequestProblem,
    MissingScopeProblem,
    Problem,
    StreamNotFoundProblem,
    TooManyConnectionsProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
)
from api.request_id import request_id_of
from api.services import Services, ServicesDependency
from api.stream_follower import StreamFollower, time_of
from domain.access import Scope
from infra.database import DatabaseUnavailableError
from infra.key_cache import LIFETIME
from infra.repositories import streams
from infra.settings.events import EventSettings

_MEDIA_TYPE: Final = "text/event-stream"
_RETRY_MS: Final = 2000
_EXAMPLE: Final = (
    "retry: 2000\n\n"
    'event: highlight\nid: 1777748707400000\ndata: {"id": "2d6c7f0a-…", "status": "pending"}\n\n'
    'event: stream\ndata: {"id": "0c7f3f0e-…", "status": "completed"}\n\n'
    'event: end\ndata: {"reason": "ended"}\n\n'
)
_STREAM_OF_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`highlight` (a highlight with its clip), `stream` (the stream) and, last, "
        "`end` (its `reason` is `ended` or `deleted`) or `error` (a problem document: the key may "
        "no longer be used).",
        "content": {_MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}
_log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/streams", tags=["streams"])


@router.get(
    "/{stream_id}/events",
    operation_id="followStream",
    response_class=StreamingResponse,
    responses=_STREAM_OF_EVENTS
    | documented(
        UnauthenticatedProblem,
        MissingScopeProblem,
        InvalidRequestProblem,
        UnavailableProblem,
        StreamNotFoundProblem,
        TooManyConnectionsProblem,
    ),
)
async def follow_stream(
    stream_id: UUID,
    caller: Reader,
    services: ServicesDependency,
    request: Request,
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^[0-9]{1,16}$",
            description="The `id` of the last event you have seen; browsers send it themselves. "
            "What changed since is told, and perhaps once more what changed just before.",
        ),
    ] = None,
) -> StreamingResponse:
    """Follow a stream by server-sent events, from its first highlight or your last event on.

    A highlight is told again whenever it or its clip has changed: the latest `updated_at` counts.
    Comments keep the connection alive. It is closed after `end`, and once in a while before; then
    connect again. It is also closed, after an event `error` with a problem document, within 5
    seconds of the key's being revoked, expired or no longer allowed from your address.
    """
    async with services.database.session(caller.tenant_id) as session:
        row = await streams.get(session, tenant_id=caller.tenant_id, stream_id=stream_id)
    if row is None:
        raise StreamNotFoundProblem
    follower = StreamFollower(
        services,
        tenant_id=caller.tenant_id,
        stream_id=stream_id,
        since=None if last_event_id is None else time_of(last_event_id),
    )
    return _EventResponse(
        services,
        follower,
        permit=caller.permit,
        tenant_id=caller.tenant_id,
        request_id=request_id_of(request.scope),
    )


class Follower(Protocol):
    """What is new of a stream, asked again and again."""

    over: bool
    behind: bool

    async def news(self) -> list[bytes]:
        """Return new events; `behind` says that there are more, `over` that none will come."""


class _EventResponse(StreamingResponse):
    """The events; it counts as one of its tenant's connections for as long as it is sent."""

    media_type = _MEDIA_TYPE

    def __init__(
        self,
        services: Services,
        follower: StreamFollower,
        *,
        permit: Permit,
        tenant_id: UUID,
        request_id: str,
    ) -> None:
        async def authorize() -> None:
            await permit.require(Scope.READ)

        sent = events(services.settings, follower, authorize=authorize, request_id=request_id)
        # Proxies that buffer answers (nginx) are asked not to.
        super().__init__(sent, headers={"X-Accel-Buffering": "no"})
        self._connections = services.event_connections
        self._tenant_id = tenant_id
        self._request_id = request_id

    async def __call__(self, scope: ConnectionScope, receive: Receive, send: Send) -> None:
        """Send the events, or that there are too many connections."""
        try:
            with self._connections.one_more(self._tenant_id):
                await super().__call__(scope, receive, send)
        except TooManyConnectionsProblem as problem:
            await problem.response(self._request_id)(scope, receive, send)


async def events(
    settings: EventSettings,
    follower: Follower,
    *,
    authorize: Callable[[], Awaitable[None]],
    request_id: str,
) -> AsyncIterator[bytes]:
    """Yield a follower's news and, when there is none for a while, a comment; until it is over.

    Args:
        settings: how often, and for how long.
        follower: what there is to tell.
        authorize: raises the problem for which nothing more may be told; asked before each event.
        request_id: of the request, for such a problem's document.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + settings.events_lifetime
    yield format_sse_event(retry=_RETRY_MS)
    spoken = clock()
    try:
        while not follower.over and clock() < until:
            await authorize()
            news = await follower.news()
            if not news and clock() - spoken >= settings.events_keep_alive:
                news = [format_sse_event(comment="still here")]
            for event in news:
                # A client that reads slowly may have taken long over the one before.
                await authorize()
                yield event
                spoken = clock()
            if not follower.over and not follower.behind:
                await asyncio.sleep(min(settings.events_interval, LIFETIME))
    except DatabaseUnavailableError:
        _log.warning("events end early: the database does not answer")
    except Problem as problem:
        data = problem.document(request_id).model_dump_json(exclude_none=True)
        yield format_sse_event(event="error", data_str=data)
