"""What one client has been told of a stream, and what is new to it.

Server-sent events of one stream: its highlights, their clips and its state, as they change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Receive, Send
from starlette.types import Scope as ConnectionScope

from api.auth import Permit, Reader
from api.errors.problems import (
    InvalidRequestProblem,
    MissingScopeProblem,
    Problem,
    StreamNotFoundProblem,
    TooManyConnectionsProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
)
from api.errors.reference import documented
from api.highlights.schemas import HighlightModel
from api.middleware.request_id import request_id_of
from api.services import Services, ServicesDependency
from api.streams.schemas import StreamModel
from app.services.api_keys import KEY_LIFETIME
from domain.highlights.selection import DecisionStatus
from domain.streams.status import TERMINAL
from domain.tenants.keys import Scope
from infra.db.engine import DatabaseUnavailableError
from infra.db.repositories import clips, highlights, stream_changes, streams
from infra.db.repositories.stream_changes import Change
from infra.settings.services import EventSettings

# Longer than any transaction that writes a highlight or a clip (`Database`'s statement timeout).
_OVERLAP: Final = timedelta(seconds=20)


_AT_A_TIME: Final = 100


_NEVER_SHOWN: Final = frozenset({DecisionStatus.HELD, DecisionStatus.REJECTED})


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_MICROSECOND: Final = timedelta(microseconds=1)


def event_id_of(at: datetime) -> str:
    """Return the id of an event about a change at this time: microseconds of Unix time."""
    return str((at - _EPOCH) // _MICROSECOND)


def time_of(event_id: str) -> datetime:
    """Return the time that an id of ours stands for."""
    return _EPOCH + int(event_id) * _MICROSECOND


class StreamFollower:
    """Looks at a stream again and again; what it has told it does not tell again.

    A client that comes back with its last event's id is told what changed since, and what changed
    in the seconds before: a change is told at least once.
    """

    def __init__(
        self, services: Services, *, tenant_id: UUID, stream_id: UUID, since: datetime | None
    ) -> None:
        self._services = services
        self._tenant_id = tenant_id
        self._stream_id = stream_id
        self._latest = since if since is not None else _EPOCH + _OVERLAP
        self._told: dict[tuple[UUID, bool], datetime] = {}
        self._revision: int | None = None
        self.behind = False
        self.over = False

    async def news(self) -> list[bytes]:
        """Return the events that are new, in order; look again at once while `behind`.

        Raises:
            DatabaseUnavailableError: the database cannot be asked.
        """
        async with self._services.database.session(self._tenant_id) as session:
            # The stream first: once it is over, nothing that is read later is missing.
            stream = await streams.get(
                session, tenant_id=self._tenant_id, stream_id=self._stream_id
            )
            if stream is None:
                self.over = True
                return [format_sse_event(event="end", data_str='{"reason":"deleted"}')]
            events = await self._changed_highlights(session)
        if stream.revision != self._revision:
            self._revision = stream.revision
            data = StreamModel.of(stream).model_dump_json()
            events.append(format_sse_event(event="stream", data_str=data))
        if stream.status in TERMINAL and not self.behind:
            self.over = True
            events.append(format_sse_event(event="end", data_str='{"reason":"ended"}'))
        return events

    async def _changed_highlights(self, session: AsyncSession) -> list[bytes]:
        changes = await stream_changes.since(
            session,
            tenant_id=self._tenant_id,
            stream_id=self._stream_id,
            start=self._latest - _OVERLAP,
        )
        new = [each for each in changes if self._told.get(_key(each)) != each.at]
        self.behind = len(new) > _AT_A_TIME
        return await self._tell(session, new[:_AT_A_TIME])

    async def _tell(self, session: AsyncSession, changes: Sequence[Change]) -> list[bytes]:
        last = {each.highlight_id: each.at for each in changes}
        rows = await highlights.get_many(
            session, tenant_id=self._tenant_id, highlight_ids=list(last)
        )
        newest = await clips.latest_by_highlight(
            session, tenant_id=self._tenant_id, highlight_ids=list(last)
        )
        for each in changes:
            self._told[_key(each)] = each.at
            self._latest = max(self._latest, each.at)
        return [
            format_sse_event(
                event="highlight",
                id=event_id_of(at),
                data_str=HighlightModel.of(
                    rows[identity], newest.get(identity), self._services
                ).model_dump_json(),
            )
            for identity, at in last.items()
            if identity in rows and rows[identity].status not in _NEVER_SHOWN
        ]


def _key(change: Change) -> tuple[UUID, bool]:
    return change.highlight_id, change.of_clip


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
                await asyncio.sleep(min(settings.events_interval, KEY_LIFETIME))
    except DatabaseUnavailableError:
        _log.warning("events end early: the database does not answer")
    except Problem as problem:
        data = problem.document(request_id).model_dump_json(exclude_none=True)
        yield format_sse_event(event="error", data_str=data)
