"""The two clients."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

import httpx

from tldrtv_highlights._retry import RetryPolicy
from tldrtv_highlights._transport import AsyncTransport, SyncTransport, __version__
from tldrtv_highlights.resources import (
    Audit,
    Clips,
    Connections,
    DefaultBranding,
    Deletions,
    ExportBatches,
    Exports,
    Feed,
    HealthChecks,
    Highlights,
    Keys,
    Profiles,
    PublicationPolicy,
    Recordings,
    Streams,
    UsageStats,
    Webhooks,
)

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds that a connection, or the next piece of an answer, is waited for."""


class HighlightsClient:
    """The Highlight API for programs that wait.

    A context manager. It may be shared by threads.

    Args:
        base_url: where the API is.
        api_key: the tenant's key, `hl_live_…`.
        timeout: seconds that a connection, or the next piece of an answer, is waited for.
        retry: how often requests are repeated.
        transport: httpx's, for proxies or tests.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        http = httpx.Client(**_options(base_url, timeout), transport=transport)
        key = _checked_key(api_key)
        self._transport = SyncTransport(http, api_key=key, retry=retry or RetryPolicy())
        self.streams = Streams(self._transport)
        self.recordings = Recordings(self._transport)
        self.highlights = Highlights(self._transport)
        self.clips = Clips(self._transport)
        self.branding = DefaultBranding(self._transport)
        self.exports = Exports(self._transport)
        self.export_batches = ExportBatches(self._transport)
        self.deletions = Deletions(self._transport)
        self.feed = Feed(self._transport)
        self.policy = PublicationPolicy(self._transport)
        self.profiles = Profiles(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.connections = Connections(self._transport)
        self.usage = UsageStats(self._transport)
        self.keys = Keys(self._transport)
        self.audit = Audit(self._transport)
        self.health = HealthChecks(self._transport)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncHighlightsClient:
    """The Highlight API for programs with an event loop: the same methods, to be awaited.

    An asynchronous context manager. It serves one event loop at a time: after that loop was
    closed, it can be used in another.

    Args:
        base_url: where the API is.
        api_key: the tenant's key, `hl_live_…`.
        timeout: seconds that a connection, or the next piece of an answer, is waited for.
        retry: how often requests are repeated.
        transport: httpx's, for proxies or tests.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        options = _options(base_url, timeout)

        def connect() -> httpx.AsyncClient:
            return httpx.AsyncClient(**options, transport=transport)

        key = _checked_key(api_key)
        self._transport = AsyncTransport(connect, api_key=key, retry=retry or RetryPolicy())
        self.streams = Streams(self._transport)
        self.recordings = Recordings(self._transport)
        self.highlights = Highlights(self._transport)
        self.clips = Clips(self._transport)
        self.branding = DefaultBranding(self._transport)
        self.exports = Exports(self._transport)
        self.export_batches = ExportBatches(self._transport)
        self.deletions = Deletions(self._transport)
        self.feed = Feed(self._transport)
        self.policy = PublicationPolicy(self._transport)
        self.profiles = Profiles(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.connections = Connections(self._transport)
        self.usage = UsageStats(self._transport)
        self.keys = Keys(self._transport)
        self.audit = Audit(self._transport)
        self.health = HealthChecks(self._transport)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _checked_key(api_key: str) -> str:
    """Return the key without the white space around it, which a file or a terminal adds.

    Raises:
        ValueError: it holds characters that no key has. The message does not show it.
    """
    key = api_key.strip()
    if not key or not all("!" <= character <= "~" for character in key):
        raise ValueError("the API key is empty or holds characters that no key has")
    return key


def _options(base_url: str, timeout: float) -> dict[str, Any]:
    url = httpx.URL(base_url)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the API's address must begin with https:// or http:// and name a host")
    agent = f"tldrtv-highlights-python/{__version__}"
    return {"base_url": base_url, "timeout": timeout, "headers": {"User-Agent": agent}}
