"""Server-sent events of a tenant: what its webhook endpoints receive, in one connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from api.auth import WebhookManager, require_scope
from api.errors.problems import TooManyConnectionsProblem
from api.errors.reference import WITH_KEY, documented
from api.event_stream import EVENT_STREAM, EventResponse
from api.middleware.request_context import request_id_of
from api.request_model import Timestamp
from api.services import Services, ServicesDependency
from api.webhooks.schemas import Types
from domain.tenants.keys import Scope
from domain.webhooks.events import SUBSCRIBABLE, EventType
from infra.db.repositories import events
from infra.webhooks.sender import message_of

# Longer than any transaction that appends an event (`Database`'s statement timeout).
_OVERLAP: Final = timedelta(seconds=20)
_BATCH_SIZE: Final = 100
_EXAMPLE: Final = (
    "retry: 2000\n\nid: 4709\nevent: open\ndata: {}\n\n"
    'id: 4711\nevent: clip.ready\ndata: {"id": "0d0f5a3e-…", "type": "clip.ready", '
    '"version": "1", "timestamp": "2026-05-02T19:05:31.204Z", "data": {"clip_id": "…"}}\n\n'
)
_STREAM_OF_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "First `open`, whose `id` says where to continue; then the events of your "
        "webhooks, each with the body of its request as data; or `error` (a problem document: the "
        "key may no longer be used).",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}
router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class TenantEventReader:
    """Reads a tenant's events that were not sent before, in the order of their positions.

    Transactions end in another order than their events got their positions in. So the events of the
    last seconds are read again, and the id of an SSE event is the position that nothing can be
    missing before. A client that reconnects with it gets those of the last seconds again.
    """

    def __init__(self, services: Services, *, tenant_id: UUID, types: Sequence[EventType]) -> None:
        self._services = services
        self._tenant_id = tenant_id
        self._types = types
        self._floor = 0
        self._sent: set[int] = set()
        self._recent: deque[tuple[float, int]] = deque()
        self._is_open = False
        self.has_more = False
        self.done = False

    async def start(self, *, position: int | None, since: datetime | None) -> None:
        """Choose the first event.

        Args:
            position: id of the last SSE event that the client received, if it reconnects.
            since: time of the first event; None for those that are written from now on.
        """
        if position is not None:
            self._floor = position
            return
        begin = since or datetime.now(UTC)
        async with self._services.database.session(self._tenant_id) as session:
            self._floor, older = await events.positions_around(
                session, tenant_id=self._tenant_id, since=begin, settled=begin - _OVERLAP
            )
        self._note(sorted(older))

    async def read(self) -> list[bytes]:
        """Return new events. Call it again at once while `has_more`.

        Raises:
            DatabaseUnavailableError: the database cannot be asked.
        """
        if not self._is_open:
            self._is_open = self.has_more = True
            return [format_sse_event(id=str(self._floor), event="open", data_str="{}")]
        settled = monotonic() - _OVERLAP.total_seconds()
        while self._recent and self._recent[0][0] < settled:
            _, position = self._recent.popleft()
            self._floor = max(self._floor, position)
        self._sent = {each for each in self._sent if each > self._floor}
        async with self._services.database.session(self._tenant_id) as session:
            found = await events.after_position(
                session,
                tenant_id=self._tenant_id,
                position=self._floor,
                types=self._types,
                exclude=self._sent,
                limit=_BATCH_SIZE,
            )
        self.has_more = len(found) == _BATCH_SIZE
        self._note([position for position, _ in found])
        return [
            format_sse_event(
                id=str(self._floor),
                event=event.type.value,
                data_str=message_of(event, self._services.links),
            )
            for _, event in found
        ]

    def _note(self, positions: Sequence[int]) -> None:
        now = monotonic()
        self._sent.update(positions)
        self._recent.extend((now, position) for position in positions)


@router.get(
    "/events",
    operation_id="followEvents",
    response_class=StreamingResponse,
    responses=_STREAM_OF_EVENTS | documented(*WITH_KEY, TooManyConnectionsProblem),
)
async def follow_events(
    *,
    caller: WebhookManager,
    services: ServicesDependency,
    request: Request,
    types: Annotated[Types, Query()] = [],  # noqa: B006 - FastAPI copies it
    since: Annotated[
        Timestamp | None,
        Query(description="Begin with the events of this time. Default: from now on."),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^[0-9]{1,18}$",
            description="The `id` of the last event received; replaces `since`. Later events are "
            "sent, and those of the last seconds again.",
        ),
    ] = None,
) -> StreamingResponse:
    """Receive the events of your webhooks by server-sent events, without an endpoint.

    For development: `highlights listen` forwards them to a program on your machine. The data of
    each event is the body that an endpoint receives; it is not signed. Events come at least once:
    discard those whose `id` in the body you have seen. The key needs the scopes `webhooks` and
    `read`, since events contain highlights and clips. The server closes the connection from time to
    time; then reconnect.
    """
    require_scope(caller.scopes, Scope.READ)
    source = TenantEventReader(
        services,
        tenant_id=caller.tenant_id,
        types=[EventType(each) for each in types] or sorted(SUBSCRIBABLE),
    )
    await source.start(position=None if last_event_id is None else int(last_event_id), since=since)
    return EventResponse(
        services,
        source,
        caller=caller,
        scopes=[Scope.WEBHOOKS, Scope.READ],
        request_id=request_id_of(request.scope),
    )
