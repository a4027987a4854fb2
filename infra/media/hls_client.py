"""HTTP to HLS origins: conditional playlist requests and bounded downloads.

Every answer is bounded in size as it is read, after decompression too, and in time as a whole, so
that an origin which sends ten gigabytes, a decompression bomb or a byte a minute costs little.

Connections are shared by all streams of a worker; what an origin says about its client
(cookies, and requests to slow down) belongs to one stream's session.

Where playlists and segments are read from: an origin, or an archive of a recording.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import httpx

from domain.ingest.playlist import ByteRange, Resource
from domain.model import Model
from infra.ssrf import MAX_REDIRECTS, GuardedTransport, UrlGuard

_WRITE_SIZE: Final = 1 << 20


_INFLATE_SIZE: Final = 1 << 16


_KEEPALIVE: Final = 30.0


_SESSIONS: Final = 4096


_COOKIES: Final = 64


_COOKIE_BYTES: Final = 4096


_PAUSED_HOSTS: Final = 64


LONGEST_RETRY_AFTER: Final = 120.0
"""Seconds for which an origin's Retry-After is honored; a stall is judged later than that."""


class FetchError(Exception):
    """A request that gave nothing usable; the message says why, in half a sentence."""


class NotFoundError(FetchError):
    """The origin says that it is not there (404, 410)."""


class RefusedError(FetchError):
    """The origin does not let us have it (401, 403 and the like)."""


class UnreachableError(FetchError):
    """No connection, no answer in time, a broken answer or a server's error.

    Attributes:
        retry_after: seconds to wait before the next request; None when the origin does not say.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLargeError(FetchError):
    """The answer is larger than allowed."""


class DamagedError(FetchError):
    """It is there, but not as it was written."""


class Validators(Model):
    """What makes a later request for the same playlist conditional (RFC 9110, 13.1)."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the request headers."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified else {}


class PlaylistAnswer(Model):
    """A playlist's text, None when it has not changed, and the URL it came from in the end."""

    text: str | None
    url: str
    validators: Validators


class HlsClient:
    """The connections of one worker to origins, and a session for each stream.

    Args:
        guard: which URLs may be requested, redirects included.
        max_connections: connections open at a time, to all origins together.
    """

    def __init__(self, guard: UrlGuard, *, max_connections: int = 512) -> None:
        self.guard = guard
        self._transport = GuardedTransport(
            guard, max_connections=max_connections, keepalive=_KEEPALIVE
        )
        self._sessions: OrderedDict[Hashable, HlsSession] = OrderedDict()

    def session(self, owner: Hashable) -> HlsSession:
        """Return the session of an owner: a tenant's stream. The least recently used ones go."""
        session = self._sessions.get(owner)
        if session is None:
            session = self._sessions[owner] = HlsSession(self.guard, self._transport)
        self._sessions.move_to_end(owner)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return session

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()


class HlsSession:
    """Requests of one stream: its cookies are never sent with those of another.

    Args:
        guard: which URLs may be requested.
        transport: the connections, which outlive the session.
    """

    def __init__(self, guard: UrlGuard, transport: httpx.AsyncBaseTransport) -> None:
        self.guard = guard
        self._http = httpx.AsyncClient(
            transport=_Shared(transport),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": "tldrtv-highlights/1"},
            cookies=_BoundedJar(),
            trust_env=False,
        )
        self._paused_until: dict[str, float] = {}

    async def playlist(
        self,
        url: str,
        *,
        max_bytes: int,
        seconds: float,
        validators: Validators,
        idle: float | None = None,
    ) -> PlaylistAnswer:
        """Read a playlist, unless it has not changed since `validators`.

        Args:
            url: where it is.
            max_bytes: of the answer, decompressed.
            seconds: for the whole answer.
            validators: of the answer before.
            idle: seconds in which nothing may come; as many as for the whole unless given.

        Raises:
            FetchError: there is no playlist to be had.
            UrlForbiddenError: the guard refuses the URL or a redirect.
        """
        headers = {"Accept-Encoding": "gzip", **validators.headers()}
        async with self._get(url, headers, seconds, idle) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return PlaylistAnswer(text=None, url=str(response.url), validators=validators)
            body = b"".join([chunk async for chunk in _body(response, max_bytes)])
            return PlaylistAnswer(
                text=body.decode("utf-8", errors="replace"),
                url=str(response.url),
                validators=_validators(response.headers),
            )

    async def read(
        self, resource: Resource, *, max_bytes: int, seconds: float, idle: float | None = None
    ) -> bytes:
        """Read something small, such as an initialization section; raises as `playlist` does."""
        async with self._get(resource.url, _range(resource), seconds, idle) as response:
            chunks = _part(response, resource.byte_range, max_bytes)
            return b"".join([chunk async for chunk in chunks])

    async def download(
        self,
        resource: Resource,
        file: Path,
        *,
        max_bytes: int,
        seconds: float,
        prefix: bytes = b"",
        idle: float | None = None,
    ) -> int:
        """Write `prefix` and then the resource to `file`; return the bytes written.

        On any error the file is removed. Raises as `playlist` does.
        """
        written, mode = 0, "wb"
        try:
            async with self._get(resource.url, _range(resource), seconds, idle) as response:
                buffer = bytearray(prefix)
                async for chunk in _part(response, resource.byte_range, max_bytes):
                    buffer += chunk
                    if len(buffer) >= _WRITE_SIZE:
                        written += await asyncio.to_thread(_write, file, mode, buffer)
                        buffer, mode = bytearray(), "ab"
                written += await asyncio.to_thread(_write, file, mode, buffer)
        except BaseException:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            raise
        return written

    @asynccontextmanager
    async def _get(
        self, url: str, headers: Mapping[str, str], seconds: float, idle: float | None
    ) -> AsyncIterator[httpx.Response]:
        silence = min(seconds if idle is None else idle, seconds)
        await self._wait_out_pause(url)
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.stream("GET", url, headers=headers, timeout=silence) as response,
            ):
                self._check_status(response)
                yield response
        except httpx.TimeoutException:
            raise UnreachableError(f"no data within {silence:g} s") from None
        except TimeoutError:
            raise UnreachableError(f"no complete answer within {seconds:g} s") from None
        except httpx.TooManyRedirects:
            raise UnreachableError(f"more than {MAX_REDIRECTS} redirects") from None
        except (httpx.InvalidURL, UnicodeError):  # the latter of a name that IDNA refuses
            raise UnreachableError("the URL is malformed") from None
        except httpx.HTTPError as error:
            raise UnreachableError(_failure(error)) from error

    def _check_status(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
            raise NotFoundError(f"the origin answers {status}")
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            wait = _retry_after(response.headers)
            if status == httpx.codes.TOO_MANY_REQUESTS and wait is not None:
                self._pause(_authority(response.url), wait)
            raise UnreachableError(f"the origin answers {status}", retry_after=wait)
        if status >= httpx.codes.BAD_REQUEST:
            raise RefusedError(f"the origin answers {status}")

    def _pause(self, authority: str, seconds: float) -> None:
        """Hold back requests to a host that asked its client to slow down."""
        self._paused_until[authority] = time.monotonic() + seconds
        while len(self._paused_until) > _PAUSED_HOSTS:
            self._paused_until.pop(next(iter(self._paused_until)))

    async def _wait_out_pause(self, url: str) -> None:
        await asyncio.sleep(self._paused_until.get(_authority(url), 0.0) - time.monotonic())


class _Shared(httpx.AsyncBaseTransport):
    """A transport that several clients use and none of them closes."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        return await self._transport.handle_async_request(request)


class _BoundedJar(CookieJar):
    """The cookies of one stream; an origin that sets ever new ones does not fill our memory."""

    def set_cookie(self, cookie: Cookie) -> None:
        """Keep a cookie, if it is small and there is room."""
        if len(cookie.name) + len(cookie.value or "") > _COOKIE_BYTES:
            return
        super().set_cookie(cookie)
        if len(self) > _COOKIES:
            self.clear(cookie.domain, cookie.path, cookie.name)


def _authority(url: str | httpx.URL) -> str:
    """Return host and port of a URL; empty when it is malformed."""
    try:
        return httpx.URL(url).netloc.decode()
    except (httpx.InvalidURL, UnicodeError):
        return ""


def _failure(error: httpx.HTTPError) -> str:
    """Say what went wrong, in words for a tenant."""
    match error:
        case httpx.ConnectError() if "cannot be resolved" in str(error):
            return "its host name cannot be resolved"
        case httpx.ConnectError() if "certificate" in str(error).lower():
            return "its TLS certificate is not valid"
        case httpx.ConnectError():
            return "no connection to its host"
        case httpx.UnsupportedProtocol():
            return "the URL or a redirect is neither http nor https"
        case _:
            return "the connection broke before the answer was complete"


def _retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds that an origin asks to wait, as seconds or as a date; bounded."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        wait = float(value[:9])
    else:
        try:
            until = parsedate_to_datetime(value)
            now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else None
            wait = (until - (now or datetime.now(UTC))).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER)


def _write(file: Path, mode: str, data: bytearray) -> int:
    """Write to a file in one step, so that most segments take a single call in a thread."""
    with file.open(mode) as output:
        return output.write(data)


def _range(resource: Resource) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    part = resource.byte_range
    if part is not None:
        headers["Range"] = f"bytes={part.offset}-{part.offset + part.length - 1}"
    return headers


async def _part(
    response: httpx.Response, part: ByteRange | None, max_bytes: int
) -> AsyncIterator[bytes]:
    """Yield a body of which only `part` was asked for."""
    if part is not None and response.status_code != httpx.codes.PARTIAL_CONTENT:
        raise RefusedError("the origin does not serve byte ranges")
    size = 0
    async for chunk in _body(response, max_bytes):
        size += len(chunk)
        yield chunk
    if part is not None and size != part.length:
        raise UnreachableError(f"the origin sent {size} of {part.length} bytes")


async def _body(response: httpx.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the decoded body in chunks of bounded size, at most `max_bytes` in all."""
    declared = response.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise TooLargeError(f"{int(declared)} bytes; at most {max_bytes} are read")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    chunks = _raw(response) if encoding in {"identity", ""} else _inflated(response, encoding)
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise TooLargeError(f"more than {max_bytes} bytes")
        yield chunk


async def _raw(response: httpx.Response) -> AsyncIterator[bytes]:
    async for chunk in response.aiter_raw():
        yield chunk


async def _inflated(response: httpx.Response, encoding: str) -> AsyncIterator[bytes]:
    """Decompress a little at a time: httpx itself would inflate a whole chunk at once."""
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise UnreachableError(f"the origin sends content encoding {encoding[:20]!r}")
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        async for chunk in response.aiter_raw():
            rest = chunk
            while rest:
                yield decoder.decompress(rest, _INFLATE_SIZE)
                rest = decoder.unconsumed_tail
        while not decoder.eof and (tail := decoder.decompress(b"", _INFLATE_SIZE)):
            yield tail
    except zlib.error as error:
        raise UnreachableError(f"the compressed answer is broken ({error})") from None
    if not decoder.eof:
        raise UnreachableError("the compressed answer is cut off")


def _validators(headers: httpx.Headers) -> Validators:
    """Keep the validators that can be relied on.

    A modification time of the second in which the answer was made cannot be (RFC 9110, 8.8.2.2):
    a playlist that changes several times a second would look unchanged.
    """
    etag, modified, date = (headers.get(name) for name in ("ETag", "Last-Modified", "Date"))
    try:
        aged = (
            modified is not None
            and date is not None
            and (parsedate_to_datetime(date) - parsedate_to_datetime(modified)).total_seconds() >= 1
        )
    except (TypeError, ValueError):
        aged = False
    return Validators(etag=etag, last_modified=modified if aged else None)


class MediaSource(Protocol):
    """Gives playlists and segments by their URLs, bounded in bytes and seconds.

    `seconds` bounds the whole answer, `idle` the time in which nothing of it comes.

    All raise `infra.media.hls_client.FetchError` where there is nothing usable to be had.
    """

    async def playlist(
        self,
        url: str,
        *,
        max_bytes: int,
        seconds: float,
        validators: Validators,
        idle: float | None = None,
    ) -> PlaylistAnswer:
        """Read a playlist, unless it has not changed since `validators`."""

    async def read(
        self, resource: Resource, *, max_bytes: int, seconds: float, idle: float | None = None
    ) -> bytes:
        """Read something small."""

    async def download(
        self,
        resource: Resource,
        file: Path,
        *,
        max_bytes: int,
        seconds: float,
        prefix: bytes = b"",
        idle: float | None = None,
    ) -> int:
        """Write `prefix` and then the resource to `file`; return the bytes written."""
