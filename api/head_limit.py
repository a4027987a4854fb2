"""No path, query or headers larger than the limits reach the application."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import HeadersTooLargeProblem, Problem, UriTooLongProblem
from api.request_id import request_id_of

_LINE_OVERHEAD = 4  # ": " and CRLF


class HeadLimit:
    """ASGI middleware that refuses requests by the size of what precedes their body.

    uvicorn's parser has no limit of its own.

    Args:
        app: the application within.
        uri: bytes of path and query.
        headers: bytes of all headers.
    """

    def __init__(self, app: ASGIApp, *, uri: int, headers: int) -> None:
        self._app = app
        self._uri = uri
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or refuse."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problem.response(request_id_of(scope))(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        if len(path) + len(scope["query_string"]) > self._uri:
            return UriTooLongProblem(f"Path and query are longer than {self._uri} bytes.")
        size = sum(len(name) + len(value) + _LINE_OVERHEAD for name, value in scope["headers"])
        if size > self._headers:
            return HeadersTooLargeProblem(f"The headers are larger than {self._headers} bytes.")
        return None
