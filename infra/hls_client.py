"""HTTP to HLS origins: conditional playlist requests and bounded downloads.

Every answer is bounded in size as it is read, after decompression too, and in time as a whole, so
that an origin which sends ten gigabytes, a decompression bomb or a byte a minute costs little.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from domain.model import Model
from domain.playlist import ByteRange, Resource
from infra.url_guard import MAX_REDIRECTS, GuardedTransport, UrlGuard

_WRITE_SIZE: Final = 1 << 18
_INFLATE_SIZE: Final = 1 << 16
_KEEPALIVE: Final = 30.0


class FetchError(Exception):
    """A request that gave nothing usable; the message says why, in half a sentence."""


class NotFoundError(FetchError):
    """The origin says that it is not there (404, 410)."""


class RefusedError(FetchError):
    """The origin does not let us have it (401, 403 and the like)."""


class UnreachableError(FetchError):
    """No connection, no answer in time, a broken answer or a server's error."""


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
    """A pool of connections to origins, one per worker.

    Args:
        guard: which URLs may be requested, redirects included.
        max_connections: connections open at a time, to all origins together.
    """

    def __init__(self, guard: UrlGuard, *, max_connections: int = 512) -> None:
        self.guard = guard
        self._http = httpx.AsyncClient(
            transport=GuardedTransport(
                guard, max_connections=max_connections, keepalive=_KEEPALIVE
            ),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": "tldrtv-highlights/1"},
            trust_env=False,
        )

    async def playlist(
        self, url: str, *, max_bytes: int, seconds: float, validators: Validators
    ) -> PlaylistAnswer:
        """Read a playlist, unless it has not changed since `validators`.

        Raises:
            FetchError: there is no playlist to be had.
            UrlForbiddenError: the guard refuses the URL or a redirect.
        """
        headers = {"Accept-Encoding": "gzip", **validators.headers()}
        async with self._get(url, headers, seconds) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return PlaylistAnswer(text=None, url=str(response.url), validators=validators)
            body = b"".join([chunk async for chunk in _body(response, max_bytes)])
            return PlaylistAnswer(
                text=body.decode("utf-8", errors="replace"),
                url=str(response.url),
                validators=_validators(response.headers),
            )

    async def read(self, resource: Resource, *, max_bytes: int, seconds: float) -> bytes:
        """Read something small, such as an initialisation section; raises as `playlist` does."""
        async with self._get(resource.url, _range(resource), seconds) as response:
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
    ) -> int:
        """Write `prefix` and then the resource to `file`; return the bytes written.

        On any error the file is removed. Raises as `playlist` does.
        """
        written = 0
        try:
            async with self._get(resource.url, _range(resource), seconds) as response:
                with await asyncio.to_thread(file.open, "wb") as output:
                    buffer = bytearray(prefix)
                    async for chunk in _part(response, resource.byte_range, max_bytes):
                        buffer += chunk
                        if len(buffer) >= _WRITE_SIZE:
                            written += await asyncio.to_thread(output.write, buffer)
                            buffer = bytearray()
                    written += await asyncio.to_thread(output.write, buffer)
        except BaseException:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            raise
        return written

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

    @asynccontextmanager
    async def _get(
        self, url: str, headers: Mapping[str, str], seconds: float
    ) -> AsyncIterator[httpx.Response]:
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.stream("GET", url, headers=headers, timeout=seconds) as response,
            ):
                _check_status(response.status_code)
                yield response
        except (TimeoutError, httpx.TimeoutException):
            raise UnreachableError(f"no complete answer within {seconds:g} s") from None
        except httpx.TooManyRedirects:
            raise UnreachableError(f"more than {MAX_REDIRECTS} redirects") from None
        except httpx.InvalidURL as error:
            raise UnreachableError(f"the URL is malformed ({error})") from None
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(f"the connection failed ({reason})") from error


def _check_status(status: int) -> None:
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        raise NotFoundError(f"the origin answers {status}")
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise UnreachableError(f"the origin answers {status}")
    if status >= httpx.codes.BAD_REQUEST:
        raise RefusedError(f"the origin answers {status}")


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
