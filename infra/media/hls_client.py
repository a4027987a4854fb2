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
import weakref
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookies import Morsel
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import aiohttp
from aiohttp.typedefs import LooseCookies
from yarl import URL

from domain.ingest.playlist import ByteRange, Resource
from domain.model import Model
from infra.ssrf import MAX_REDIRECTS, GuardedConnector, UrlGuard, refuse_forbidden

_WRITE_SIZE: Final = 1 << 20


_INFLATE_SIZE: Final = 1 << 16


_KEEPALIVE: Final = 30.0


_SESSIONS: Final = 4096


_COOKIES: Final = 64


_COOKIE_BYTES: Final = 4096


_PAUSED_HOSTS: Final = 64


_LONGEST_HEADER: Final = 1 << 15


_MOST_HEADERS: Final = 256


_NOWHERE: Final = URL()


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
        self._connector = GuardedConnector(
            guard, max_connections=max_connections, keepalive=_KEEPALIVE
        )
        self._sessions: OrderedDict[Hashable, HlsSession] = OrderedDict()

    def session(self, owner: Hashable) -> HlsSession:
        """Return the session of an owner: a tenant's stream. The least recently used ones go."""
        session = self._sessions.get(owner)
        if session is None:
            session = self._sessions[owner] = HlsSession(self.guard, self._connector)
        self._sessions.move_to_end(owner)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return session

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()

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
        connector: the connections, which outlive the session.
    """

    def __init__(self, guard: UrlGuard, connector: GuardedConnector) -> None:
        self.guard = guard
        self._http = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            middlewares=(refuse_forbidden(guard),),
            headers={"User-Agent": "tldrtv-highlights/1"},
            cookie_jar=_BoundedJar(unsafe=True, quote_cookie=False),
            auto_decompress=False,
            requote_redirect_url=False,
            max_headers=_MOST_HEADERS,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )
        # aiohttp complains of a session that is dropped while its connector is open.
        weakref.finalize(self, self._http.detach).atexit = False
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
            if response.status == HTTPStatus.NOT_MODIFIED:
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
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        silence = min(seconds if idle is None else idle, seconds)
        await self._wait_out_pause(url)
        limits = aiohttp.ClientTimeout(connect=silence, sock_connect=silence, sock_read=silence)
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.get(
                    _unchanged(url),
                    headers=headers,
                    timeout=limits,
                    max_redirects=MAX_REDIRECTS + 1,  # aiohttp refuses the last one
                ) as response,
            ):
                self._check_status(response)
                yield response
        except aiohttp.ServerTimeoutError:
            raise UnreachableError(f"no data within {silence:g} s") from None
        except TimeoutError:
            raise UnreachableError(f"no complete answer within {seconds:g} s") from None
        except aiohttp.ClientError as error:
            if isinstance(error, aiohttp.NonHttpUrlClientError):  # before any middleware
                self.guard.check(str(error.args[0]))
            raise UnreachableError(_failure(error)) from error

    def _check_status(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise NotFoundError(f"the origin answers {status}")
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait = _retry_after(response.headers)
            if status == HTTPStatus.TOO_MANY_REQUESTS and wait is not None:
                self._pause(response.url.raw_authority, wait)
            raise UnreachableError(f"the origin answers {status}", retry_after=wait)
        if status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(f"the origin answers {status}")

    def _pause(self, authority: str, seconds: float) -> None:
        """Hold back requests to a host that asked its client to slow down."""
        self._paused_until[authority] = time.monotonic() + seconds
        while len(self._paused_until) > _PAUSED_HOSTS:
            self._paused_until.pop(next(iter(self._paused_until)))

    async def _wait_out_pause(self, url: str) -> None:
        if self._paused_until:  # parsing a URL costs more than sending a small request
            authority = _unchanged(url).raw_authority
            await asyncio.sleep(self._paused_until.get(authority, 0.0) - time.monotonic())


class _BoundedJar(aiohttp.CookieJar):
    """The cookies of one stream; an origin that sets ever new ones does not fill our memory."""

    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NOWHERE) -> None:
        """Keep cookies that are small, while there is room."""
        pairs = cookies.items() if isinstance(cookies, Mapping) else cookies
        for name, cookie in pairs:
            value = cookie.value if isinstance(cookie, Morsel) else str(cookie)
            known = any(kept.key == name for kept in self)
            if len(name) + len(value) <= _COOKIE_BYTES and (known or len(self) < _COOKIES):
                super().update_cookies({name: cookie}, response_url)


def _unchanged(url: str) -> URL:
    """Return a URL as it was written: a signature may cover each of its characters.

    Raises:
        UnreachableError: it is malformed.
    """
    try:
        return URL(url, encoded=url.isascii() and " " not in url)
    except (ValueError, UnicodeError):  # the latter of a name that IDNA refuses
        raise UnreachableError("the URL is malformed") from None


def _failure(error: aiohttp.ClientError) -> str:
    """Say what went wrong, in words for a tenant."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its host name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return "its TLS certificate is not valid"
        case aiohttp.ClientConnectorError():
            return "no connection to its host"
        case aiohttp.TooManyRedirects():
            return f"more than {MAX_REDIRECTS} redirects"
        case aiohttp.InvalidURL():
            return "the URL is malformed"
        case _:
            return "the connection broke before the answer was complete"


def _retry_after(headers: Mapping[str, str]) -> float | None:
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
    response: aiohttp.ClientResponse, part: ByteRange | None, max_bytes: int
) -> AsyncIterator[bytes]:
    """Yield a body of which only `part` was asked for."""
    if part is not None and response.status != HTTPStatus.PARTIAL_CONTENT:
        raise RefusedError("the origin does not serve byte ranges")
    size = 0
    async for chunk in _body(response, max_bytes):
        size += len(chunk)
        yield chunk
    if part is not None and size != part.length:
        raise UnreachableError(f"the origin sent {size} of {part.length} bytes")


async def _body(response: aiohttp.ClientResponse, max_bytes: int) -> AsyncIterator[bytes]:
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


async def _raw(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for chunk in response.content.iter_any():
        yield chunk


async def _inflated(response: aiohttp.ClientResponse, encoding: str) -> AsyncIterator[bytes]:
    """Decompress a little at a time: aiohttp itself would inflate a whole chunk at once."""
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise UnreachableError(f"the origin sends content encoding {encoding[:20]!r}")
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        async for chunk in response.content.iter_any():
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


def _validators(headers: Mapping[str, str]) -> Validators:
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
