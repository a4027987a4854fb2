"""What can go wrong, as a tree; catch `HighlightsError` for all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, ClassVar, Final

import httpx


class HighlightsError(Exception):
    """Base of all errors of this package; its text says what to do."""


class ConnectionFailedError(HighlightsError):
    """No response arrived. The API may or may not have acted on the request."""


class ClientUnusableError(HighlightsError):
    """The client was closed, or belongs to another event loop that still runs."""


class UnexpectedAnswerError(HighlightsError):
    """The response is none that the API documents; a proxy may have written it."""


class DownloadError(HighlightsError):
    """A file was not received whole; nothing was left on disk."""


class ApiError(HighlightsError):
    """The API refused a request and said why (RFC 9457).

    Attributes:
        status: the HTTP status.
        code: for programs, such as `stream_not_found`; `/errors` of the API lists them.
        title: the kind of problem in words.
        detail: what is wrong and what to do, for people.
        request_id: include it when you contact us about this error.
        retry_after: seconds after which to try again, where the API says.
        errors: the parts of the request that are wrong, each with `pointer` and `detail`.
    """

    handled: ClassVar[frozenset[int]] = frozenset()

    def __init__(
        self,
        *,
        status: int,
        code: str,
        title: str,
        detail: str,
        request_id: str | None,
        retry_after: float | None,
        errors: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after
        self.errors = errors
        parts = "".join(f" {each.get('pointer')}: {each.get('detail')}." for each in errors)
        super().__init__(f"{status} {code}: {detail}{parts} (request {request_id or 'unknown'})")

    @property
    def problem(self) -> dict[str, Any]:
        """The problem as a JSON object, without the fields that are empty."""
        return {name: value for name, value in self._fields().items() if value not in (None, ())}

    def _fields(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
            "errors": tuple(dict(each) for each in self.errors),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Let errors cross processes, as pools and task queues send them."""
        return partial(type(self), **self._fields()), ()


class InvalidRequestError(ApiError):
    """The request is wrong: correct what `errors` lists."""

    handled = frozenset({400, 405, 406, 413, 414, 415, 416, 422, 431})


class AuthenticationError(ApiError):
    """The API key is missing or not valid."""

    handled = frozenset({401})


class PermissionDeniedError(ApiError):
    """The key may not do this or not from this address, or a signed URL has expired."""

    handled = frozenset({403})


class NotFoundError(ApiError):
    """The tenant has no such object."""

    handled = frozenset({404, 410})


class ConflictError(ApiError):
    """The object is in a state that does not allow this, or has changed since it was read."""

    handled = frozenset({409, 412, 428})


class RateLimitedError(ApiError):
    """More requests than the plan allows; `retry_after` says how long to wait."""

    handled = frozenset({429})


class ServerError(ApiError):
    """The service failed, or something that it needs is unavailable."""

    handled = frozenset(range(500, 600))


_KINDS: Final[tuple[type[ApiError], ...]] = (
    InvalidRequestError,
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    ConflictError,
    RateLimitedError,
    ServerError,
)
_SHOWN: Final = 300


def error_of(response: httpx.Response) -> ApiError:
    """Return the error that a refusal stands for; its body must have been read."""
    status = response.status_code
    return _error(
        status,
        _problem(response),
        reason=response.reason_phrase or "Refused",
        text=response.text[:_SHOWN],
        request_id=response.headers.get("X-Request-Id"),
        retry_after=retry_after(response),
    )


def error_in(problem: Mapping[str, Any]) -> ApiError:
    """Return the error that a problem document stands for which came in a stream of events.

    Raises:
        ValueError: the document is none that the API sends.
    """
    status = problem.get("status")
    if type(status) is int:
        return _error(status, problem)
    raise ValueError("a problem without a status")


def _error(
    status: int,
    problem: Mapping[str, Any],
    *,
    reason: str = "Refused",
    text: str = "",
    request_id: str | None = None,
    retry_after: float | None = None,
) -> ApiError:
    kind = next((kind for kind in _KINDS if status in kind.handled), ApiError)
    return kind(
        status=status,
        code=str(problem.get("code", f"http_{status}")),
        title=str(problem.get("title", reason)),
        detail=str(problem.get("detail") or problem.get("title") or text),
        request_id=problem.get("request_id") or request_id,
        retry_after=retry_after,
        errors=tuple(problem.get("errors") or ()),
    )


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that `Retry-After` names, if it does: a number or an HTTP date."""
    value = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
