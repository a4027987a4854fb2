"""Content negotiation and strict decoding of JSON bodies.

Python's decoder accepts what RFC 8259 does not allow (NaN, Infinity), what cannot be stored or
encoded later (lone surrogates, NUL, numbers beyond 64 bits), and duplicate members. All of these
are rejected here with their position, for every operation.
"""

from __future__ import annotations

import json
from email.message import Message
from typing import Any, Final, NoReturn

from fastapi import Request
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors.problems import (
    FieldProblem,
    InvalidRequestProblem,
    MalformedJsonProblem,
    NotAcceptableProblem,
    Problem,
    UnsupportedMediaTypeProblem,
)
from api.middleware.request_context import request_id_of
from domain.text import clean_text, is_storable

_JSON: Final = "application/json"
_RANGES: Final = (_JSON, "application/*", "*/*")


async def require_json(request: Request) -> None:
    """Require a JSON body.

    Raises:
        UnsupportedMediaTypeProblem: `Content-Type` is missing or not JSON.
    """
    if not is_json(request.headers.get("content-type", "")):
        raise UnsupportedMediaTypeProblem


def is_json(content_type: str) -> bool:
    """Return True if a `Content-Type` header names JSON in UTF-8."""
    header = Message()
    header["content-type"] = content_type
    is_type = header.get_content_type() == _JSON
    return is_type and header.get_content_charset("utf-8") in {"utf-8", "us-ascii"}


async def require_acceptable(request: Request) -> None:
    """Require that the client accepts JSON if the route responds with it.

    Raises:
        NotAcceptableProblem: `Accept` excludes JSON.
    """
    accept = ", ".join(request.headers.getlist("accept"))
    if _answers_json(request.scope["route"]) and not accepts_json(accept):
        raise NotAcceptableProblem


def accepts_json(accept: str) -> bool:
    """Return True if an `Accept` header allows JSON (RFC 9110, 12.5.1); an empty one does."""
    qualities = dict(_ranges(accept))
    if not qualities:
        return True
    # The most specific matching range decides.
    return next((qualities[each] for each in _RANGES if each in qualities), 0.0) > 0.0


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name:
            found.append((name, _quality(parameters)))
    return found


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _answers_json(route: APIRoute) -> bool:
    kind = route.response_class
    if isinstance(kind, DefaultPlaceholder):
        kind = kind.value
    return bool(kind.media_type == _JSON)


MAX_DEPTH: Final = 64
"""Maximum nesting of arrays and objects; the deepest valid body has six levels."""


_LARGEST: Final = 2**63
_LONGEST_INTEGER: Final = 40
"""Maximum digits that are parsed; Python itself rejects more than 4,300."""


_SHOWN: Final = 64
_MOST_SHOWN: Final = 20


class _RefusedError(ValueError):
    """The text is not JSON, or is ambiguous; the message states the reason."""


def decode_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a body.

    Raises:
        MalformedJsonProblem: it is not JSON in UTF-8, is nested too deeply, or repeats a member.
        InvalidRequestProblem: it has text that cannot be stored, or a number beyond 64 bits.
    """
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_members,
            parse_constant=_constant,
            parse_int=_integer,
        )
        errors = _errors(value)
    except UnicodeDecodeError as error:
        raise MalformedJsonProblem(
            f"The body is not UTF-8: byte {error.start} is invalid."
        ) from None
    except RecursionError:
        raise MalformedJsonProblem(_too_deep()) from None
    except json.JSONDecodeError as error:
        raise MalformedJsonProblem(
            f"{MalformedJsonProblem.advice} At character {error.pos}: {error.msg.lower()}."
        ) from None
    except _RefusedError as error:
        raise MalformedJsonProblem(str(error)) from None
    if errors:
        raise InvalidRequestProblem(errors=errors[:_MOST_SHOWN])
    return value


class JsonBodyValidation:
    """ASGI middleware that rejects JSON bodies that `decode_json` rejects.

    Args:
        app: the wrapped application, which reads the body again.
        exempt: path prefixes whose routes read their bodies themselves.
    """

    def __init__(self, app: ASGIApp, *, exempt: tuple[str, ...] = ()) -> None:
        self._app = app
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or reject the body."""
        content_type = Headers(scope=scope).get("content-type", "") if _is_http(scope) else ""
        if "json" not in content_type.lower() or scope["path"].startswith(self._exempt):
            await self._app(scope, receive, send)
            return
        message = await receive()
        problem = _problem(message.get("body", b""), content_type)
        if problem is not None:
            await problem.response(request_id_of(scope))(scope, receive, send)
            return
        first = [message]

        async def receive_again() -> Any:  # noqa: ANN401 - an ASGI message
            return first.pop() if first else await receive()

        await self._app(scope, receive_again, send)


def _is_http(scope: Scope) -> bool:
    return bool(scope["type"] == "http")


def _problem(body: bytes, content_type: str) -> Problem | None:
    if not body:
        return None
    if not is_json(content_type):  # FastAPI would accept any +json type
        return UnsupportedMediaTypeProblem()
    try:
        decode_json(body)
    except Problem as problem:
        return problem
    return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RefusedError(f"An object repeats the member `{_shown(twice)}`.")
    return members


def _constant(name: str) -> NoReturn:
    raise _RefusedError(f"`{name}` is not a JSON number.")


def _integer(text: str) -> int:
    return int(text) if len(text) <= _LONGEST_INTEGER else _LARGEST


def _too_deep() -> str:
    return f"The body nests arrays and objects deeper than {MAX_DEPTH} levels."


def _errors(value: Any) -> list[FieldProblem]:  # noqa: ANN401 - any JSON value
    """Return the problems of values that cannot be stored. Not recursive."""
    found: list[FieldProblem] = []
    left: list[tuple[str, int, Any]] = [("", 0, value)]
    while left:
        pointer, depth, each = left.pop()
        if depth > MAX_DEPTH:
            raise _RefusedError(_too_deep())
        if isinstance(each, dict):
            for name, member in each.items():
                place = f"{pointer}/{_escaped(name)}"
                if not is_storable(name):
                    found.append(FieldProblem(pointer=place, detail=f"The name {_UNSTORABLE}"))
                left.append((place, depth + 1, member))
        elif isinstance(each, list):
            left += [(f"{pointer}/{index}", depth + 1, item) for index, item in enumerate(each)]
        elif (detail := _fault(each)) is not None:
            found.append(FieldProblem(pointer=pointer, detail=detail))
    return found


_UNSTORABLE: Final = "contains NUL or a lone surrogate, which cannot be stored."


def _fault(value: object) -> str | None:
    if isinstance(value, str):
        return None if is_storable(value) else f"The text {_UNSTORABLE}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A number beyond the range of doubles was decoded as infinite.
    if is_number and not -_LARGEST <= value < _LARGEST:  # type: ignore[operator]
        return "The number exceeds 64 bits."
    return None


def _escaped(name: str) -> str:
    return _shown(name).replace("~", "~0").replace("/", "~1")


def _shown(name: str) -> str:
    return clean_text(name, _SHOWN)
