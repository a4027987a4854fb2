"""`ETag` and `If-None-Match` for JSON responses."""

from __future__ import annotations

import hashlib
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_RESOURCES: Final = "/v1/"
_JSON: Final = "application/json"
# Caches may store responses but must revalidate them before each use.
_CACHE_CONTROL: Final = "private, no-cache"
_KEPT_BY_304: Final = frozenset({"cache-control", "content-location", "etag", "vary"})


class ConditionalReads:
    """ASGI middleware that adds a weak `ETag` to JSON responses and responds 304 if it matches.

    The tag is a hash of the body: responses combine several rows, the state of a running workflow
    and signed URLs, so that no revision number covers them. A route's own `ETag` is kept. Event
    streams and files pass through.

    Args:
        app: the wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        is_read = scope["type"] == "http" and scope["method"] == "GET"
        if not is_read or not scope["path"].startswith(_RESOURCES):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("if-none-match")
        await self._app(scope, receive, _Answer(send, asked))


class _Answer:
    """Buffers a JSON response until its tag is known."""

    def __init__(self, send: Send, asked: str | None) -> None:
        self._send = send
        self._asked = asked
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            content_type = Headers(raw=message["headers"]).get("content-type", "")
            if message["status"] == 200 and content_type.partition(";")[0] == _JSON:  # noqa: PLR2004
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        headers = MutableHeaders(raw=start["headers"])
        headers.setdefault("ETag", f'W/"{hashlib.sha256(self._body).hexdigest()[:32]}"')
        headers.setdefault("Cache-Control", _CACHE_CONTROL)
        if matches(self._asked, headers["etag"]):
            kept = [each for each in headers.raw if each[0].decode("latin-1") in _KEPT_BY_304]
            await self._send({"type": "http.response.start", "status": 304, "headers": kept})
            await self._send({"type": "http.response.body", "body": b""})
            return
        await self._send(start)
        await self._send({"type": "http.response.body", "body": self._body})


def matches(if_none_match: str | None, etag: str) -> bool:
    """Return True if `If-None-Match` matches an ETag, by weak comparison (RFC 9110, 13.1.2)."""
    candidates = (each.strip().removeprefix("W/") for each in (if_none_match or "").split(","))
    return any(each in {"*", etag.removeprefix("W/")} for each in candidates)
