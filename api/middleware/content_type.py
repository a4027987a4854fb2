"""Bodies are JSON, and said to be; answers are too, and have to be acceptable."""

from __future__ import annotations

from email.message import Message
from typing import Final

from fastapi import Request
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute

from api.errors.problems import NotAcceptableProblem, UnsupportedMediaTypeProblem

_JSON: Final = "application/json"
_RANGES: Final = (_JSON, "application/*", "*/*")


async def require_json(request: Request) -> None:
    """Refuse a body of another type than JSON.

    Raises:
        UnsupportedMediaTypeProblem: `Content-Type` is missing or names another type.
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
    """Refuse, before anything is done, a client that does not accept JSON where we answer in it.

    Raises:
        NotAcceptableProblem: `Accept` leaves no room for JSON.
    """
    accept = ", ".join(request.headers.getlist("accept"))
    if _answers_json(request.scope["route"]) and not accepts_json(accept):
        raise NotAcceptableProblem


def accepts_json(accept: str) -> bool:
    """Tell whether an `Accept` header takes JSON (RFC 9110, 12.5.1); an empty one takes all."""
    qualities = dict(_ranges(accept))
    if not qualities:
        return True
    # The most specific range that fits decides.
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
