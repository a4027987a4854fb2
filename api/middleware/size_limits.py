"""Limits of body, URI and header sizes, and cancellation of abandoned reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problems import (
    BodyTooLargeProblem,
    HeadersTooLargeProblem,
    Problem,
    UriTooLongProblem,
)
from api.middleware.request_context import request_id_of

_SAFE: Final = frozenset({"GET", "HEAD"})
_LONGEST_LENGTH: Final = 18
"""Maximum digits of a `Content-Length` that is parsed."""


_log = structlog.get_logger(__name__)


class BodyLimit:
    """ASGI middleware that reads a body before the application does, up to a limit.

    Bodies here are small JSON documents, so that reading one whole costs nothing, and a body
    without a length is counted too. A truncated body is not processed. A request
    that only reads is cancelled when its client goes away, and the statement in the database with
    it; one that changes something is completed, since its client may retry it.

    Args:
        app: the application within.
        limit: bytes.
        larger: other limits, by the beginning of the path.
        streamed: limits by path for bodies that the application reads itself, part by part; it gets
            `BodyTooLargeProblem` where one is exceeded.
        reads: paths that only read although their method is POST.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        larger: Mapping[str, int] | None = None,
        streamed: Mapping[str, int] | None = None,
        reads: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._limit = limit
        self._larger = dict(larger or {})
        self._streamed = dict(streamed or {})
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then run the application or reject the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        streamed = self._streamed.get(scope["path"])
        limit = streamed or next(
            (each for start, each in self._larger.items() if scope["path"].startswith(start)),
            self._limit,
        )
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and int(announced[:_LONGEST_LENGTH]) > limit
        if streamed is not None and not too_large:
            await self._app(scope, _bounded(receive, limit), send)
            return
        client = _Client(receive)
        if too_large or not await client.read_body(limit):
            problem = _too_large(limit)
            await problem.response(request_id_of(scope))(scope, receive, send)
        elif not client.has_gone:
            only_reads = scope["method"] in _SAFE or scope["path"] in self._reads
            await client.serve(self._app, scope, send, abandon=only_reads)


def _too_large(limit: int) -> BodyTooLargeProblem:
    return BodyTooLargeProblem(f"The body exceeds {limit} bytes.")


def _bounded(receive: Receive, limit: int) -> Receive:
    """Return `receive` with an error once a body has more than `limit` bytes."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large(limit)
        return message

    return bounded


class _Client:
    """The client of one request: its body, and whether it is still connected."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = asyncio.Event()
        self._body: bytes | None = b""

    @property
    def has_gone(self) -> bool:
        """Return True once the connection is closed."""
        return self._gone.is_set()

    async def read_body(self, limit: int) -> bool:
        """Read the whole body; return False if it exceeds `limit` bytes."""
        body = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone.set()
                return True
            body += message.get("body", b"")
            if len(body) > limit:
                return False
            if not message.get("more_body", False):
                self._body = body
                return True

    async def serve(self, app: ASGIApp, scope: Scope, send: Send, *, abandon: bool) -> None:
        """Run the application; with `abandon`, cancel it if the client disconnects."""
        # Keep the application in this task, whose context variables its log lines need.
        work = asyncio.current_task()
        watcher = asyncio.create_task(self._watch(work if abandon else None))
        try:
            await app(scope, self._next_message, send)
        except asyncio.CancelledError:
            if not (abandon and self.has_gone and work is not None and work.uncancel() == 0):
                raise
            _log.info("request abandoned", method=scope["method"], path=scope["path"])
        finally:
            watcher.cancel()

    async def _watch(self, work: asyncio.Task[object] | None) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
        if work is not None:
            work.cancel()

    async def _next_message(self) -> Message:
        if self._body is None:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


_LINE_OVERHEAD = 4  # ": " and CRLF


class HeaderLimit:
    """ASGI middleware that rejects requests with an overlong URI or headers.

    uvicorn's parser has no such limits.

    Args:
        app: the wrapped application.
        uri: maximum bytes of path and query.
        headers: maximum bytes of all headers.
    """

    def __init__(self, app: ASGIApp, *, uri: int, headers: int) -> None:
        self._app = app
        self._uri = uri
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or reject the request."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problem.response(request_id_of(scope))(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        if len(path) + len(scope["query_string"]) > self._uri:
            return UriTooLongProblem(f"Path and query exceed {self._uri} bytes.")
        size = sum(len(name) + len(value) + _LINE_OVERHEAD for name, value in scope["headers"])
        if size > self._headers:
            return HeadersTooLargeProblem(f"The headers exceed {self._headers} bytes.")
        return None
