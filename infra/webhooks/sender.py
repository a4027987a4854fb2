"""One request to a stranger's endpoint: bounded in time and size, to public addresses only."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import httpx

from domain.webhooks.delivery import LONGEST_RETRY_AFTER
from infra.redaction import redact
from infra.ssrf import GuardedTransport, UrlForbiddenError, UrlGuard, no_cookies

MAX_RESPONSE_BYTES: Final = 16 << 10
"""Of an answer that are read; the rest is not waited for."""

_EXCERPT: Final = 1000
_PAUSES: Final = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
_DIGITS: Final = 9
_ERROR: Final = 300
_KEEPALIVE: Final = 30.0
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class WebhookResponse:
    """What came back: a status with the start of the body, or an error in half a sentence.

    `retry_after` is how many seconds the endpoint asked to wait (429 and 503 only).
    """

    duration: float
    status_code: int | None = None
    error: str | None = None
    excerpt: str = ""
    retry_after: float | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the endpoint took the message."""
        return self.status_code is not None and httpx.codes.is_success(self.status_code)

    @property
    def gone(self) -> bool:
        """Whether the endpoint wants no more messages (410)."""
        return self.status_code == httpx.codes.GONE


class WebhookSender:
    """A pool of connections to endpoints, one per worker.

    Args:
        guard: which addresses may be connected to; checked where the connection is made.
        timeout: seconds for the whole of a request.
        max_connections: connections open at a time, to all endpoints together.
    """

    def __init__(self, guard: UrlGuard, *, timeout: float, max_connections: int) -> None:
        self._timeout = timeout
        self._http = httpx.AsyncClient(
            transport=GuardedTransport(
                guard, max_connections=max_connections, keepalive=_KEEPALIVE
            ),
            follow_redirects=False,
            cookies=no_cookies(),
            headers={"User-Agent": "tldrtv-highlights/1", "Accept-Encoding": "identity"},
            trust_env=False,
        )

    async def send(self, url: str, body: str, headers: Mapping[str, str]) -> WebhookResponse:
        """Post a JSON document; whatever goes wrong is an answer too."""
        began = time.monotonic()
        status: int | None = None
        excerpt = b""
        error: str | None = None
        retry_after: float | None = None
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream(
                    "POST",
                    url,
                    content=body.encode(),
                    headers={"Content-Type": "application/json", **headers},
                    timeout=self._timeout,
                ) as response,
            ):
                status = response.status_code
                error = _refusal(status)
                retry_after = _retry_after(response)
                excerpt = await _start_of(response)
        except (TimeoutError, httpx.TimeoutException):
            # A status whose body never ends still counts as what it says.
            error = error if status is not None else f"no answer within {self._timeout:g} s"
        except UrlForbiddenError as forbidden:
            error = str(forbidden)
        except (httpx.InvalidURL, UnicodeError):  # the latter of a name that IDNA refuses
            error = "the URL is malformed"
        except httpx.HTTPError as failure:
            if status is None:
                error = f"the connection failed ({str(failure) or type(failure).__name__})"
        return WebhookResponse(
            duration=time.monotonic() - began,
            status_code=status,
            error=redact(error)[:_ERROR] if error else None,
            excerpt=_text(excerpt),
            retry_after=retry_after,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _refusal(status: int) -> str | None:
    if httpx.codes.is_success(status):
        return None
    if httpx.codes.is_redirect(status):
        return f"the endpoint answers {status}; redirects are not followed"
    return f"the endpoint answers {status}"


def _retry_after(response: httpx.Response) -> float | None:
    """Return the wait that the endpoint asks for, in seconds (RFC 9110, section 10.2.3)."""
    value = response.headers.get("retry-after", "").strip()
    if response.status_code not in _PAUSES or not value:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value[:_DIGITS]), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


async def _start_of(response: httpx.Response) -> bytes:
    """Read as it comes, not decompressed: a bomb stays what it is."""
    start = b""
    async for chunk in response.aiter_raw():
        start += chunk
        if len(start) >= MAX_RESPONSE_BYTES:
            break
    return start[:_EXCERPT]


def _text(excerpt: bytes) -> str:
    return _UNPRINTABLE.sub("", excerpt.decode("utf-8", errors="replace"))
