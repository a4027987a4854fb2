"""Methods: HEAD wherever GET is, OPTIONS everywhere, and 405 with all that a path takes.

Which path a request means is decided by the path alone, the most specific template first: what
`/v1/streams/analyze` does not take is not asked of `/v1/streams/{stream_id}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from re import Pattern
from typing import Any, Final

from starlette.routing import BaseRoute, Route, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problems import MethodNotAllowedProblem, RouteNotFoundProblem
from api.middleware.request_context import request_id_of
from domain.text import REPLACEMENT, is_storable

_ORDER: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class _Path:
    """A template of paths, and the methods that its operations declare."""

    pattern: Pattern[str]
    specificity: tuple[bool, ...]
    declared: frozenset[str]

    @property
    def allowed(self) -> list[str]:
        """All methods that it takes, those that every path takes included."""
        methods = self.declared | {"OPTIONS"} | ({"HEAD"} if "GET" in self.declared else set())
        return sorted(methods, key=_ORDER.index)


class Methods:
    """ASGI middleware that answers what no operation has to.

    Args:
        app: the application within.
        routes: its routes; paths that none of them has are left to it.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._paths = sorted(_paths(routes), key=lambda path: path.specificity, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method: str = scope["method"]
        path = self._find(scope["path"])
        if path is None and not _is_readable(scope["path"]):
            await RouteNotFoundProblem().response(request_id_of(scope))(scope, receive, send)
        elif path is None or method in path.declared:
            await self._app(scope, receive, send)
        elif method == "OPTIONS":
            await _send_options(path.allowed, send)
        elif method == "HEAD" and "GET" in path.declared:
            await _Head(self._app)(scope, receive, send)
        else:
            problem = MethodNotAllowedProblem(
                f"This path takes {', '.join(path.allowed)}.",
                headers={"Allow": ", ".join(path.allowed)},
            )
            await problem.response(request_id_of(scope))(scope, receive, send)

    def _find(self, path: str) -> _Path | None:
        return next((each for each in self._paths if each.pattern.match(path)), None)


class _Head:
    """Answers HEAD by what GET would be answered, without its body, and without making all of it.

    Args:
        app: the application, which takes GET at this path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request until its headers are known."""
        answered = asyncio.Event()

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                answered.set()

        work = asyncio.ensure_future(self._run({**scope, "method": "GET"}, receive, send_head))
        waiting = asyncio.create_task(answered.wait())
        try:
            # An answer without an end, such as a stream of events, is not waited for.
            await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not answered.is_set():
                await work
        finally:
            waiting.cancel()
            work.cancel()
            await asyncio.wait({work})

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _send_options(allowed: list[str], send: Send) -> None:
    headers = [(b"allow", ", ".join(allowed).encode())]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _paths(routes: Iterable[BaseRoute]) -> Iterator[_Path]:
    methods: dict[str, set[str]] = {}
    for route in routes:
        if isinstance(route, Route):
            methods.setdefault(route.path, set()).update(route.methods or ())
    for template, declared in methods.items():
        pattern, _, _ = compile_path(template)
        specificity = tuple("{" not in part for part in template.split("/"))
        yield _Path(pattern=pattern, specificity=specificity, declared=frozenset(declared))


def _is_readable(path: str) -> bool:
    return is_storable(path) and REPLACEMENT not in path


def all_routes(app_routes: Iterable[BaseRoute], routers: Iterable[Any]) -> list[BaseRoute]:
    """Return the routes of an application and of the routers that it includes."""
    return [*app_routes, *(route for router in routers for route in router.routes)]
