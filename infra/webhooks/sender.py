"""Messages to webhook endpoints: signed (Standard Webhooks) and sent."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import httpx
from standardwebhooks import Webhook

from domain.webhooks.delivery import LONGEST_RETRY_AFTER
from domain.webhooks.events import PAYLOADS, VERSION, ClipPayload, Event, HighlightPayload
from infra.encryption import SecretCipher
from infra.redaction import redact
from infra.ssrf import GuardedTransport, UrlForbiddenError, UrlGuard, no_cookies
from infra.storage.signed_urls import ClipLinks


def message_of(event: Event, links: ClipLinks) -> str:
    """Return the body of a webhook, or of a message to a broker: the event as JSON.

    Links to clips are signed at each attempt, so that they are valid for their full lifetime,
    however late the message is.
    """
    document = {
        "id": str(event.id),
        "type": event.type.value,
        "version": VERSION,
        "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
        "data": _with_links(event, links),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _with_links(event: Event, links: ClipLinks) -> dict[str, Any]:
    if PAYLOADS[event.type] not in {ClipPayload, HighlightPayload}:
        return event.data
    signed = {
        name: links.sign(event.data[name], tenant_id=event.tenant_id)
        for name in ("url", "thumbnail_url", "hls_url")
        if event.data.get(name)
    }
    return event.data | signed


_SECRET_BYTES: Final = 32  # the specification asks for 24 to 64


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(
    body: str, *, message_id: UUID, timestamp: datetime, secrets: Iterable[str]
) -> dict[str, str]:
    """Return the headers by which a receiver recognises and verifies a message.

    Args:
        body: exactly as it is sent.
        message_id: the event's; the same at each attempt.
        timestamp: of the attempt, in UTC.
        secrets: that it is signed with; during a rotation there are two.
    """
    signatures = [
        Webhook(secret).sign(msg_id=str(message_id), timestamp=timestamp, data=body)
        for secret in secrets
    ]
    return {
        "webhook-id": str(message_id),
        "webhook-timestamp": str(int(timestamp.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class EndpointSecrets:
    """The secrets of endpoints, as they are stored.

    Args:
        signing_secret: the installation's.
    """

    def __init__(self, signing_secret: bytes) -> None:
        self._cipher = SecretCipher(signing_secret, purpose="webhook-secret")

    def encrypt(self, secret: str, *, tenant_id: UUID, endpoint_id: UUID) -> bytes:
        """Return what is stored of an endpoint's secret."""
        return self._cipher.encrypt(secret.encode(), owner=f"{tenant_id}/{endpoint_id}")

    def decrypt(self, sealed: bytes, *, tenant_id: UUID, endpoint_id: UUID) -> str:
        """Return an endpoint's secret.

        Raises:
            SecretDecryptionError: it is not this endpoint's, or the signing secret has changed.
        """
        return self._cipher.decrypt(sealed, owner=f"{tenant_id}/{endpoint_id}").decode()


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
            # A status counts even if its body never ends.
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
