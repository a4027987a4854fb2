"""The two ways to talk to the API: waiting in the thread, and waiting in an event loop.

They differ in `await` alone; all that can be decided without waiting is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from tldrtv_highlights._endpoint import Endpoint, Sent
from tldrtv_highlights._events import END, EventParser
from tldrtv_highlights._retry import RetryPolicy
from tldrtv_highlights._sink import Sink
from tldrtv_highlights.errors import (
    ClientUnusableError,
    ConnectionFailedError,
    DownloadError,
    UnexpectedAnswerError,
    error_of,
)
from tldrtv_highlights.models import Page, StreamEvent, TenantEvent

T = TypeVar("T")
E = TypeVar("E", bound=StreamEvent | TenantEvent)

__version__: Final = "0.1.0"
_CLOSED: Final = "This client is closed; make a new one."


@dataclass(frozen=True, kw_only=True)
class File:
    """A file to download: where from, where to, and what is known of it."""

    url: str
    path: Path
    size: int | None = None
    sha256: str | None = None

    def sink(self) -> Sink:
        """Return where to put it."""
        return Sink(self.path, size=self.size, sha256=self.sha256)


class SyncTransport:
    """Sends requests and waits in the thread."""

    def __init__(self, http: httpx.Client, *, api_key: str, retry: RetryPolicy) -> None:
        self._http = http
        self._key = _BearerKey(api_key)
        self._retry = retry

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, endpoint: Endpoint[T], sent: Sent) -> T:
        """Send one request, again where that may help, and return its answer."""
        self._require_open()
        request = endpoint.request(self._http, sent)
        repeatable = endpoint.repeatable
        for attempt in count():
            try:
                response = self._http.send(request, auth=self._key)
            except httpx.DecodingError as error:
                raise _unreadable(request) from error
            except httpx.TransportError as error:
                pause = self._retry.after_failure(attempt, error, repeatable=repeatable)
                if pause is None:
                    raise _no_answer(request, error) from error
            else:
                pause = self._retry.after_answer(attempt, response, repeatable=repeatable)
                if pause is None or response.status_code in endpoint.statuses:
                    return endpoint.parse(response)
            time.sleep(pause)
        raise AssertionError("unreachable")

    def pages(self, endpoint: Endpoint[Page[T]], sent: Sent) -> Iterator[T]:
        """Yield the items of a list, asking for a page when the one before is used up."""
        while True:
            page = self.call(endpoint, sent)
            yield from page.data
            if page.next_cursor is None:
                return
            sent = _after(sent, page)

    def events(
        self, endpoint: Endpoint[None], read: Callable[[dict[str, str]], E], sent: Sent
    ) -> Iterator[E]:
        """Yield a stream's events to its end, connecting again from the last one seen."""
        failures = 0
        while True:
            self._require_open()
            request = endpoint.request(self._http, sent)
            pause: float | None
            try:
                with closing(self._http.send(request, auth=self._key, stream=True)) as response:
                    if response.is_error:
                        response.read()
                        pause = self._retry.after_answer(failures, response, repeatable=True)
                        if pause is None:
                            raise error_of(response)
                        failures += 1
                    else:
                        _require_events(request, response)
                        failures, pause = 0, self._retry.first
                        parser = EventParser(read)
                        for chunk in response.iter_bytes():
                            for event in parser.feed(chunk):
                                sent = _since(sent, event)
                                yield event
                                if event.type == END:
                                    return
            except (httpx.DecodingError, ValueError) as error:  # of the bytes, or of an event
                raise _unreadable(request) from error
            except httpx.TransportError as error:
                pause = self._retry.after_failure(failures, error, repeatable=True)
                if pause is None:
                    raise _no_answer(request, error) from error
                failures += 1
            time.sleep(pause)

    def download(self, file: File) -> Path:
        """Fetch a file by its signed URL, without the key."""
        self._require_open()
        for attempt in count():
            try:
                with (
                    self._http.stream("GET", file.url, follow_redirects=True) as response,
                    file.sink() as sink,
                ):
                    if response.is_error:
                        response.read()
                        raise error_of(response)
                    for chunk in response.iter_bytes():
                        sink.write(chunk)
            except httpx.TransportError as error:
                pause = self._retry.after_failure(attempt, error, repeatable=True)
                if pause is None:
                    raise _cut_off(file, error) from error
            else:
                return file.path
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _require_open(self) -> None:
        if self._http.is_closed:
            raise ClientUnusableError(_CLOSED)


class AsyncTransport:
    """Sends requests and lets others run meanwhile."""

    def __init__(
        self, connect: Callable[[], httpx.AsyncClient], *, api_key: str, retry: RetryPolicy
    ) -> None:
        self._connect = connect
        self._http: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._key = _BearerKey(api_key)
        self._retry = retry

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._http is not None and self._loop is asyncio.get_running_loop():
            await self._http.aclose()

    def _here(self) -> httpx.AsyncClient:
        """Return the connections of the running event loop.

        Those of a loop that was closed cannot be used, nor closed, any more.
        """
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ClientUnusableError(_CLOSED)
        if self._http is None or self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                raise ClientUnusableError(
                    "This client is in use by another event loop; make one for each loop."
                )
            self._http, self._loop = self._connect(), loop
        return self._http

    async def call(self, endpoint: Endpoint[T], sent: Sent) -> T:
        """Send one request, again where that may help, and return its answer."""
        http = self._here()
        request = endpoint.request(http, sent)
        repeatable = endpoint.repeatable
        for attempt in count():
            try:
                response = await http.send(request, auth=self._key)
            except httpx.DecodingError as error:
                raise _unreadable(request) from error
            except httpx.TransportError as error:
                pause = self._retry.after_failure(attempt, error, repeatable=repeatable)
                if pause is None:
                    raise _no_answer(request, error) from error
            else:
                pause = self._retry.after_answer(attempt, response, repeatable=repeatable)
                if pause is None or response.status_code in endpoint.statuses:
                    return endpoint.parse(response)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def pages(self, endpoint: Endpoint[Page[T]], sent: Sent) -> AsyncIterator[T]:
        """Yield the items of a list, asking for a page when the one before is used up."""
        while True:
            page = await self.call(endpoint, sent)
            for item in page.data:
                yield item
            if page.next_cursor is None:
                return
            sent = _after(sent, page)

    async def events(
        self, endpoint: Endpoint[None], read: Callable[[dict[str, str]], E], sent: Sent
    ) -> AsyncIterator[E]:
        """Yield a stream's events to its end, connecting again from the last one seen."""
        failures = 0
        while True:
            http = self._here()
            request = endpoint.request(http, sent)
            pause: float | None
            try:
                response = await http.send(request, auth=self._key, stream=True)
                async with aclosing(response):
                    if response.is_error:
                        await response.aread()
                        pause = self._retry.after_answer(failures, response, repeatable=True)
                        if pause is None:
                            raise error_of(response)
                        failures += 1
                    else:
                        _require_events(request, response)
                        failures, pause = 0, self._retry.first
                        parser = EventParser(read)
                        async for chunk in response.aiter_bytes():
                            for event in parser.feed(chunk):
                                sent = _since(sent, event)
                                yield event
                                if event.type == END:
                                    return
            except (httpx.DecodingError, ValueError) as error:  # of the bytes, or of an event
                raise _unreadable(request) from error
            except httpx.TransportError as error:
                pause = self._retry.after_failure(failures, error, repeatable=True)
                if pause is None:
                    raise _no_answer(request, error) from error
                failures += 1
            await asyncio.sleep(pause)

    async def download(self, file: File) -> Path:
        """Fetch a file by its signed URL, without the key."""
        http = self._here()
        for attempt in count():
            try:
                async with http.stream("GET", file.url, follow_redirects=True) as response:
                    with file.sink() as sink:
                        if response.is_error:
                            await response.aread()
                            raise error_of(response)
                        async for chunk in response.aiter_bytes():
                            sink.write(chunk)
            except httpx.TransportError as error:
                pause = self._retry.after_failure(attempt, error, repeatable=True)
                if pause is None:
                    raise _cut_off(file, error) from error
            else:
                return file.path
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")


class _BearerKey(httpx.Auth):
    """The API key, on requests to the API alone: signed URLs may lead elsewhere."""

    def __init__(self, api_key: str) -> None:
        self._value = f"Bearer {api_key}"

    def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - httpx's generator
        """Add the key."""
        request.headers["Authorization"] = self._value
        yield request


def _after(sent: Sent, page: Page[Any]) -> Sent:
    return replace(sent, query={**sent.query, "cursor": page.next_cursor})


def _since(sent: Sent, event: StreamEvent | TenantEvent) -> Sent:
    if event.id is None:
        return sent
    return replace(sent, headers={**sent.headers, "Last-Event-ID": event.id})


def _require_events(request: httpx.Request, response: httpx.Response) -> None:
    """Refuse an answer that holds no events: a redirect, or a page that a proxy wrote."""
    kind = response.headers.get("Content-Type", "")
    if response.status_code != httpx.codes.OK or not kind.startswith("text/event-stream"):
        raise _unreadable(request)


def _unreadable(request: httpx.Request) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(
        f"{request.method} {request.url.path} was answered with something that cannot be read; "
        "check the API's address and what stands between."
    )


def _no_answer(request: httpx.Request, error: httpx.TransportError) -> ConnectionFailedError:
    words = str(error) or type(error).__name__
    return ConnectionFailedError(
        f"{request.method} {request.url.copy_with(query=None)} got no answer: {words}. Check the "
        "address and the network, then try again."
    )


def _cut_off(file: File, error: httpx.TransportError) -> DownloadError:
    words = str(error) or type(error).__name__
    return DownloadError(f"{file.path.name} was not received whole: {words}. Try again.")
