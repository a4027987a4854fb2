"""No body larger than the limit is read, whatever its `Content-Length` says."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import BodyTooLargeProblem
from api.request_id import request_id_of


class BodyLimit:
    """ASGI middleware that reads a body before the application does, up to a limit.

    Bodies here are small JSON documents, so that reading one whole costs nothing, and a body
    without a length is counted too.

    Args:
        app: the application within.
        limit: bytes.
        larger: other limits, by the beginning of the path.
    """

    def __init__(
        self, app: ASGIApp, *, limit: int, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._limit = limit
        self._larger = dict(larger or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then run the application or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next(
            (each for start, each in self._larger.items() if scope["path"].startswith(start)),
            self._limit,
        )
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and int(announced) > limit
        body = None if too_large else await self._read(receive, limit)
        if body is None:
            problem = BodyTooLargeProblem(f"The body is larger than {limit} bytes.")
            await problem.response(request_id_of(scope))(scope, receive, send)
            return
        await self._app(scope, _Replay(body, receive), send)

    @staticmethod
    async def _read(receive: Receive, limit: int) -> bytes | None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return body
            chunk: bytes = message.get("body", b"")
            body += chunk
            if len(body) > limit:
                return None
            if not message.get("more_body", False):
                return body


class _Replay:
    """Gives a body that was read once more, then whatever follows it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
