"""Query and header parameters as this API reads them: named exactly, given once, typed as JSON is.

What FastAPI does not know it ignores, so that a typing error in a filter returns everything; of a
parameter that is repeated it takes one; and pydantic reads `1.0`, `1_0` and ` 1` as integers. Each
is refused here, by what the route itself declares.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Self
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from api.errors.problems import FieldProblem, InvalidRequestProblem
from domain.text import clean_text, is_storable

WITHOUT_KEY: Final[dict[str, Any]] = {"security": []}
"""What the document says of an operation that needs no key."""

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
    """A parameter of the query: whether it may be repeated, and its type where that is no text."""

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
    """The parameters that an operation declares."""

    query: Mapping[str, _Parameter]
    headers: frozenset[str]


class DeclaredParameters:
    """What each operation declares, by the name of its function.

    Args:
        routers: of all resources.
        open_to_any: names of functions whose callers may add parameters of their own to the query.
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
        """Refuse what an operation does not declare.

        Raises:
            InvalidRequestProblem: it names each such parameter.
        """
        declared = self._declared.get(request.scope["route"].name)
        if declared is None:
            return
        errors = [*_query_errors(request.scope["query_string"], declared.query)]
        errors += [
            FieldProblem(pointer=f"header/{name}", detail="must be given once")
            for name in sorted(declared.headers)
            if len(request.headers.getlist(name)) > 1
        ]
        if errors:
            raise InvalidRequestProblem(errors=errors[:_MOST_SHOWN])


def require_declared(request: Request) -> None:
    """Refuse parameters that the operation of a request does not declare."""
    parameters: DeclaredParameters = request.app.state.parameters
    parameters.check(request)


async def require_declared_without_key(request: Request) -> None:
    """Refuse parameters where no key is asked for; elsewhere the key is looked at first."""
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
            yield FieldProblem(pointer="query", detail="holds a name that is not UTF-8 text")
        elif parameter is None:
            yield FieldProblem(
                pointer=f"query/{clean_text(name, _SHOWN)}", detail=_unknown(name, declared)
            )
        elif counts[name] > 1 and not parameter.repeatable:
            yield FieldProblem(pointer=f"query/{name}", detail="must be given once")
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
        return "is no parameter of this operation"
    return f"is no parameter of this operation; did you mean {' or '.join(f'`{n}`' for n in near)}?"


def _decoded(part: bytes) -> str | None:
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        return None
