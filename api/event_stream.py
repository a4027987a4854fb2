"""Server-sent events: a response that sends what a source reads, while the key holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Receive, Send
from starlette.types import Scope as ConnectionScope

from api.auth import Caller
from api.errors.problems import Problem, TooManyConnectionsProblem
from api.services import Services
from app.services.api_keys import KEY_LIFETIME
from domain.tenants.keys import Scope
from infra.db.engine import DatabaseUnavailableError
from infra.settings.services import EventSettings

EVENT_STREAM: Final = "text/event-stream"
_RETRY_MS: Final = 2000
_log = structlog.get_logger(__name__)


class EventSource(Protocol):
    """A source of server-sent events, read repeatedly."""

    done: bool
    has_more: bool

    async def read(self) -> list[bytes]:
        """Return new events; `has_more` means that more are ready, `done` that none will follow."""


class EventResponse(StreamingResponse):
    """The response of an SSE connection. Counts against the tenant's connections while open."""

    media_type = EVENT_STREAM

    def __init__(
        self,
        services: Services,
        source: EventSource,
        *,
        caller: Caller,
        scopes: Sequence[Scope],
        request_id: str,
    ) -> None:
        async def authorize() -> None:
            for scope in scopes:
                await caller.authorization.require(scope)

        sent = events(services.settings, source, authorize=authorize, request_id=request_id)
        # Proxies that buffer answers (nginx) are asked not to.
        super().__init__(sent, headers={"X-Accel-Buffering": "no"})
        self._connections = services.event_connections
        self._tenant_id = caller.tenant_id
        self._request_id = request_id

    async def __call__(self, scope: ConnectionScope, receive: Receive, send: Send) -> None:
        """Send the events, or a problem if the tenant has too many connections."""
        try:
            with self._connections.hold(self._tenant_id):
                await super().__call__(scope, receive, send)
        except TooManyConnectionsProblem as problem:
            await problem.response(self._request_id)(scope, receive, send)


async def events(
    settings: EventSettings,
    source: EventSource,
    *,
    authorize: Callable[[], Awaitable[None]],
    request_id: str,
) -> AsyncIterator[bytes]:
    """Yield new events, and a comment if there is none for a while, until the source is done.

    Args:
        settings: intervals and the connection's lifetime.
        source: the source.
        authorize: raises the problem for which nothing more may be sent; called before each event.
        request_id: of the request, for that problem's document.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + settings.events_lifetime
    yield format_sse_event(retry=_RETRY_MS)
    last_sent = clock()
    try:
        while not source.done and clock() < until:
            await authorize()
            new = await source.read()
            if not new and clock() - last_sent >= settings.events_keep_alive:
                new = [format_sse_event(comment="still here")]
            for event in new:
                # A client that reads slowly may have taken long over the previous event.
                await authorize()
                yield event
                last_sent = clock()
            if not source.done and not source.has_more:
                await asyncio.sleep(min(settings.events_interval, KEY_LIFETIME))
    except DatabaseUnavailableError:
        _log.warning("events end early: the database does not answer")
    except Problem as problem:
        data = problem.document(request_id).model_dump_json(exclude_none=True)
        yield format_sse_event(event="error", data_str=data)
