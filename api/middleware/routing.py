"""Method handling and strict query and header parameters.

HEAD is supported wherever GET is, OPTIONS everywhere, and 405 lists all methods of a path. The most
specific path template decides: `/v1/streams/analyze` never matches `/v1/streams/{stream_id}`.

FastAPI ignores unknown parameters, so that a mistyped filter returns everything; of a repeated
parameter it takes the last value, and it converts types loosely. All of this is rejected here.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from re import Pattern
from typing import Any, Final, Self
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import BaseRoute, Route, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problems import (
    FieldProblem,
    InvalidRequestProblem,
    MethodNotAllowedProblem,
    RouteNotFoundProblem,
)
from api.middleware.request_context import request_id_of
from domain.text import REPLACEMENT, clean_text, is_storable

_ORDER: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class _Path:
    """A path template, and the methods of its operations."""

    pattern: Pattern[str]
    specificity: tuple[bool, ...]
    declared: frozenset[str]

    @property
    def allowed(self) -> list[str]:
        """All allowed methods, including HEAD and OPTIONS."""
        methods = self.declared | {"OPTIONS"} | ({"HEAD"} if "GET" in self.declared else set())
        return sorted(methods, key=_ORDER.index)


class MethodRouting:
    """ASGI middleware that handles HEAD, OPTIONS and unsupported methods.

    Args:
        app: the wrapped application.
        routes: its routes; unknown paths are passed on to it.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._paths = sorted(_paths(routes), key=lambda path: path.specificity, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request, or respond to it."""
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
                f"This path supports {', '.join(path.allowed)}.",
                headers={"Allow": ", ".join(path.allowed)},
            )
            await problem.response(request_id_of(scope))(scope, receive, send)

    def _find(self, path: str) -> _Path | None:
        return next((each for each in self._paths if each.pattern.match(path)), None)


class _Head:
    """Responds to HEAD like to GET, without a body and without producing all of it.

    Args:
        app: the wrapped application.
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
            # Do not wait for the end of the response: an event stream has none.
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
    """Return the routes of an application and its routers."""
    return [*app_routes, *(route for router in routers for route in router.routes)]


WITHOUT_KEY: Final[dict[str, Any]] = {"security": []}
"""OpenAPI security of operations that require no key."""


_SHOWN: Final = 64
_MOST_SHOWN: Final = 20
_FORMS: Final = {
    "integer": (re.compile(r"-?[0-9]{1,19}"), "must be an integer in digits"),
    "number": (
        re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?"),
        "must be a decimal number",
    ),
    "boolean": (re.compile(r"true|false"), "must be `true` or `false`"),
}


@dataclass(frozen=True)
class _Parameter:
    """A query parameter: whether it is repeatable, and its type if it is not text."""

    repeatable: bool
    kind: str | None

    @classmethod
    def of(cls, annotation: Any) -> Self:  # noqa: ANN401 - any type
        schema = TypeAdapter(annotation).json_schema()
        choices = [each.get("type") for each in schema.get("anyOf", [schema])]
        types = [each for each in choices if each != "null"]
        kind = types[0] if len(types) == 1 and types[0] in _FORMS else None
        return cls(repeatable="array" in types, kind=kind)


@dataclass(frozen=True)
class _Declared:
    """The parameters declared by an operation."""

    query: Mapping[str, _Parameter]
    headers: frozenset[str]


class DeclaredParameters:
    """The declared parameters of all operations, by function name.

    Args:
        routers: of all resources.
        open_to_any: names of functions that accept any query parameter.
    """

    def __init__(
        self, routers: Iterable[APIRouter], *, open_to_any: frozenset[str] = frozenset()
    ) -> None:
        self._declared = {
            route.name: _Declared(
                query={
                    each.alias: _Parameter.of(each.field_info.annotation)
                    for each in _flat(route.dependant, "query_params")
                },
                headers=frozenset(
                    each.alias.lower() for each in _flat(route.dependant, "header_params")
                ),
            )
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute) and route.name not in open_to_any
        }

    def check(self, request: Request) -> None:
        """Reject parameters that the operation does not declare.

        Raises:
            InvalidRequestProblem: names each of them.
        """
        declared = self._declared.get(request.scope["route"].name)
        if declared is None:
            return
        errors = [*_query_errors(request.scope["query_string"], declared.query)]
        errors += [
            FieldProblem(pointer=f"header/{name}", detail="must not be repeated")
            for name in sorted(declared.headers)
            if len(request.headers.getlist(name)) > 1
        ]
        if errors:
            raise InvalidRequestProblem(errors=errors[:_MOST_SHOWN])


def require_declared(request: Request) -> None:
    """Reject undeclared parameters of the current request."""
    parameters: DeclaredParameters = request.app.state.parameters
    parameters.check(request)


async def require_declared_without_key(request: Request) -> None:
    """Reject undeclared parameters of operations without a key; others check the key first."""
    if request.scope["route"].openapi_extra == WITHOUT_KEY:
        require_declared(request)


def _flat(dependant: Any, kind: str) -> Iterator[Any]:  # noqa: ANN401 - FastAPI's own types
    yield from getattr(dependant, kind)
    for each in dependant.dependencies:
        yield from _flat(each, kind)


def _query_errors(query: bytes, declared: Mapping[str, _Parameter]) -> Iterator[FieldProblem]:
    pairs = [each.partition(b"=")[::2] for each in query.split(b"&") if each]
    texts = [(_decoded(name), _decoded(value)) for name, value in pairs]
    counts = Counter(name for name, _ in texts)
    for name, value in dict(reversed(texts)).items():
        parameter = None if name is None else declared.get(name)
        if name is None or not is_storable(name):
            yield FieldProblem(pointer="query", detail="contains a name that is not UTF-8 text")
        elif parameter is None:
            yield FieldProblem(
                pointer=f"query/{clean_text(name, _SHOWN)}", detail=_unknown(name, declared)
            )
        elif counts[name] > 1 and not parameter.repeatable:
            yield FieldProblem(pointer=f"query/{name}", detail="must not be repeated")
        elif (detail := _fault(value, parameter)) is not None:
            yield FieldProblem(pointer=f"query/{name}", detail=detail)
        elif parameter.repeatable and any(
            other is None or not is_storable(other) for key, other in texts if key == name
        ):
            yield FieldProblem(pointer=f"query/{name}", detail=_NOT_TEXT)


_NOT_TEXT: Final = "must be UTF-8 text without NUL"


def _fault(value: str | None, parameter: _Parameter) -> str | None:
    if value is None or not is_storable(value):
        return _NOT_TEXT
    if parameter.kind is not None:
        form, detail = _FORMS[parameter.kind]
        return None if form.fullmatch(value) else detail
    return None


def _unknown(name: str, declared: Iterable[str]) -> str:
    near = get_close_matches(name, declared, n=3, cutoff=0.6)
    if not near:
        return "is not a parameter of this operation"
    return (
        f"is not a parameter of this operation; did you mean {' or '.join(f'`{n}`' for n in near)}?"
    )


def _decoded(part: bytes) -> str | None:
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        return None
