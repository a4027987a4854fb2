"""Server-sent events of one stream: its highlights, clips and status as they change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Reader
from api.errors.problems import StreamNotFoundProblem, TooManyConnectionsProblem
from api.errors.reference import WITH_KEY, documented
from api.event_stream import EVENT_STREAM, EventResponse
from api.highlights.schemas import HighlightModel
from api.middleware.request_context import request_id_of
from api.services import Services, ServicesDependency
from api.streams.schemas import StreamModel
from domain.highlights.selection import DecisionStatus
from domain.streams.status import TERMINAL
from domain.tenants.keys import Scope
from infra.db.repositories import clips, highlights, streams
from infra.db.repositories.streams import HighlightChange

# Longer than any transaction that writes a highlight or a clip (`Database`'s statement timeout).
_OVERLAP: Final = timedelta(seconds=20)
_BATCH_SIZE: Final = 100
_HIDDEN_STATUSES: Final = frozenset({DecisionStatus.HELD, DecisionStatus.REJECTED})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def event_id_of(at: datetime) -> str:
    """Return the event id of a change at this time: Unix time in microseconds."""
    return str((at - _EPOCH) // _MICROSECOND)


def time_of(event_id: str) -> datetime:
    """Return the time that an event id stands for."""
    return _EPOCH + int(event_id) * _MICROSECOND


class StreamEventReader:
    """Reads the changes of a stream that were not sent before.

    A client that reconnects with its last event id gets everything since, and changes of the
    seconds before again: delivery is at least once.
    """

    def __init__(
        self, services: Services, *, tenant_id: UUID, stream_id: UUID, since: datetime | None
    ) -> None:
        self._services = services
        self._tenant_id = tenant_id
        self._stream_id = stream_id
        self._latest = since if since is not None else _EPOCH + _OVERLAP
        self._sent: dict[tuple[UUID, bool], datetime] = {}
        self._revision: int | None = None
        self.has_more = False
        self.done = False

    async def read(self) -> list[bytes]:
        """Return new events, oldest first. Call it again at once while `has_more`.

        Raises:
            DatabaseUnavailableError: the database cannot be asked.
        """
        if self._revision is not None and not self.has_more and not await self._has_news():
            return []
        async with self._services.database.session(self._tenant_id) as session:
            # Read the stream first: once it has ended, no change that is read later is missing.
            stream = await streams.get(
                session, tenant_id=self._tenant_id, stream_id=self._stream_id
            )
            if stream is None:
                self.done = True
                return [format_sse_event(event="end", data_str='{"reason":"deleted"}')]
            events = await self._changed_highlights(session)
        if stream.revision != self._revision:
            self._revision = stream.revision
            data = StreamModel.of(stream).model_dump_json()
            events.append(format_sse_event(event="stream", data_str=data))
        if stream.status in TERMINAL and not self.has_more:
            self.done = True
            events.append(format_sse_event(event="end", data_str='{"reason":"ended"}'))
        return events

    async def _has_news(self) -> bool:
        """Return True if there is something to send, by a read shared with other connections."""
        look = await self._services.stream_watch.look(
            tenant_id=self._tenant_id, stream_id=self._stream_id, since=self._latest - _OVERLAP
        )
        if look.revision is None or look.revision.revision != self._revision:
            return True
        if any(self._sent.get(_key(each)) != each.at for each in look.changes):
            return True
        self._latest = max(self._latest, look.revision.at)
        return False

    async def _changed_highlights(self, session: AsyncSession) -> list[bytes]:
        changes = await streams.changes_since(
            session,
            tenant_id=self._tenant_id,
            stream_ids=[self._stream_id],
            start=self._latest - _OVERLAP,
        )
        new = [each for each in changes if self._sent.get(_key(each)) != each.at]
        self.has_more = len(new) > _BATCH_SIZE
        return await self._render(session, new[:_BATCH_SIZE])

    async def _render(
        self, session: AsyncSession, changes: Sequence[HighlightChange]
    ) -> list[bytes]:
        if not changes:
            return []
        last = {each.highlight_id: each.at for each in changes}
        rows = await highlights.get_many(
            session, tenant_id=self._tenant_id, highlight_ids=list(last)
        )
        newest = await clips.latest_by_highlight(
            session, tenant_id=self._tenant_id, highlight_ids=list(last)
        )
        for each in changes:
            self._sent[_key(each)] = each.at
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
            if identity in rows and rows[identity].status not in _HIDDEN_STATUSES
        ]


def _key(change: HighlightChange) -> tuple[UUID, bool]:
    return change.highlight_id, change.of_clip


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
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}
router = APIRouter(prefix="/v1/streams", tags=["streams"])


@router.get(
    "/{stream_id}/events",
    operation_id="followStream",
    response_class=StreamingResponse,
    responses=_STREAM_OF_EVENTS
    | documented(
        *WITH_KEY,
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
            description="The `id` of the last event received; browsers send it automatically. "
            "Later changes are sent, and possibly some earlier ones again.",
        ),
    ] = None,
) -> StreamingResponse:
    """Follow a stream by server-sent events, from its first highlight or your last event.

    A highlight is sent again whenever it or its clip changes; the latest `updated_at` is current.
    Comments keep the connection alive. The server closes the connection after `end`, and from time
    to time before that; then reconnect. It also closes it, after an `error` event with a problem
    document, within 5 seconds after the key is revoked, expires or may no longer be used from your
    address.
    """
    async with services.database.session(caller.tenant_id) as session:
        row = await streams.get(session, tenant_id=caller.tenant_id, stream_id=stream_id)
    if row is None:
        raise StreamNotFoundProblem
    source = StreamEventReader(
        services,
        tenant_id=caller.tenant_id,
        stream_id=stream_id,
        since=None if last_event_id is None else time_of(last_event_id),
    )
    return EventResponse(
        services,
        source,
        caller=caller,
        scopes=[Scope.READ],
        request_id=request_id_of(request.scope),
    )
