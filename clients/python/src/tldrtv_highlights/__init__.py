"""The Python client of the tldrtv Highlight API."""

from __future__ import annotations

from tldrtv_highlights._endpoint import UNSET
from tldrtv_highlights._retry import RetryPolicy
from tldrtv_highlights._transport import __version__
from tldrtv_highlights.client import AsyncHighlightsClient, HighlightsClient
from tldrtv_highlights.errors import (
    ApiError,
    AuthenticationError,
    ClientUnusableError,
    ConflictError,
    ConnectionFailedError,
    DownloadError,
    HighlightsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    UnexpectedAnswerError,
)

__all__ = [
    "UNSET",
    "ApiError",
    "AsyncHighlightsClient",
    "AuthenticationError",
    "ClientUnusableError",
    "ConflictError",
    "ConnectionFailedError",
    "DownloadError",
    "HighlightsClient",
    "HighlightsError",
    "InvalidRequestError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RetryPolicy",
    "ServerError",
    "UnexpectedAnswerError",
    "__version__",
]
