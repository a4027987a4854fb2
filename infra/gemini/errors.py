"""What can go wrong with a call to Gemini, by what is to be done about it.

    GeminiError
    ├─ GeminiUnavailableError   wait and ask again: 408, 500-504, time-outs, no connection
    │  └─ GeminiBusyError       wait for as long as it says: 429, or our own share of the quota
    ├─ GeminiRefusedError       asking again changes nothing: the request is wrong
    │  ├─ GeminiModelError      the model is retired, unknown, or not open to the key: 404
    │  └─ GeminiAccessError     the key is wrong or may not ask: 401, 403, 400 API_KEY_INVALID
    └─ VideoUnusableError       this video cannot be watched: not processed in time, or failed

An answer that was blocked or cut short is no error: it was paid for, and is read for what it has.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from google.genai.errors import APIError

from infra.redaction import redact

_RETRYABLE: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_NO_ACCESS: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_API_KEY_INVALID: Final = "API_KEY_INVALID"
_RETRY_INFO: Final = "google.rpc.RetryInfo"
_THINKING: Final = re.compile(r"thinking", re.IGNORECASE)
# google.protobuf.Duration as JSON: seconds with an "s".
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)s")
_LONGEST_MESSAGE: Final = 300


class GeminiError(Exception):
    """A call failed.

    Attributes:
        retryable: whether asking again may help.
        retry_after: seconds to wait before that, where anybody said so.
    """

    retryable = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GeminiUnavailableError(GeminiError):
    """The service did not answer, or said that it cannot just now."""

    retryable = True


class GeminiBusyError(GeminiUnavailableError):
    """The quota is used up for the moment."""


class GeminiRefusedError(GeminiError):
    """The service will not answer this, however often it is asked."""


class GeminiModelError(GeminiRefusedError):
    """The service does not offer the model to this key."""


class GeminiAccessError(GeminiRefusedError):
    """The service does not accept the key."""


class ThinkingLevelError(GeminiRefusedError):
    """The model does not take this level of thinking."""


class VideoUnusableError(GeminiError):
    """The uploaded video did not become usable."""


class DeadlineError(GeminiUnavailableError):
    """The call took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Gemini did not answer within {seconds:g} s")


def error_of(error: APIError, *, model: str | None = None) -> GeminiError:
    """Return what an error of the API means for us; `model` is the one that was asked, if any."""
    message = f"Gemini answered {error.code} {error.status or ''}: {error.message or ''}"
    message = redact(message)[:_LONGEST_MESSAGE]
    delay = _delay(error.details)
    if error.code == HTTPStatus.TOO_MANY_REQUESTS:
        return GeminiBusyError(message, retry_after=delay)
    if error.code in _RETRYABLE:
        return GeminiUnavailableError(message, retry_after=delay)
    # A 403 about a file means that it has expired or belongs to another key.
    refused = error.code in _NO_ACCESS and "the File " not in message
    if refused or _API_KEY_INVALID in str(error.details):
        return GeminiAccessError(message)
    if error.code == HTTPStatus.BAD_REQUEST and _THINKING.search(message):
        return ThinkingLevelError(message)
    # A 404 without a model's name is of an uploaded file that has expired.
    if error.code == HTTPStatus.NOT_FOUND and model is not None and "models/" in message:
        return GeminiModelError(message)
    return GeminiRefusedError(message)


def _delay(details: Any) -> float | None:  # noqa: ANN401 whatever JSON the server sent
    """Return the delay (s) of a google.rpc.RetryInfo among the details."""
    error = details.get("error", details) if isinstance(details, dict) else {}
    found = error.get("details", ()) if isinstance(error, dict) else ()
    for detail in found if isinstance(found, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(_RETRY_INFO):
            match = _DURATION.fullmatch(str(detail.get("retryDelay", "")))
            if match:
                return float(match[1])
    return None
