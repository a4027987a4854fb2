"""Cross-origin requests: which pages may call the API from a browser, and what they may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SENT: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-Request-Id",
)
_SHOWN: Final = (
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-Id",
)
_PREFLIGHT_LIFETIME: Final = 600


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call the API; without any, browsers let none.

    It surrounds everything else, so that a page can read errors too, and so that preflight
    requests, which cannot carry a key, cost nobody's limits. Keys travel in a header that pages
    set themselves, never by themselves as cookies do, so `*` gives away nothing.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_SHOWN,
            max_age=_PREFLIGHT_LIFETIME,
        )
