"""Requests to origins: conditional, and bounded in size and time whatever the origin does."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.ingest.playlist import ByteRange, Resource
from infra.media.hls_client import (
    LONGEST_RETRY_AFTER,
    HlsClient,
    HlsSession,
    NotFoundError,
    PlaylistAnswer,
    RefusedError,
    TooLargeError,
    UnreachableError,
    Validators,
)
from infra.ssrf import UrlForbiddenError, UrlGuard

OK = "HTTP/1.1 200 OK\r\nConnection: close\r\n"


@contextlib.asynccontextmanager
async def origin(*answers: bytes, hang: bool = False) -> AsyncIterator[tuple[str, list[str]]]:
    """Answer one request after the other with raw bytes; yields the URL and requests' heads."""
    heads: list[str] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(left.pop(0))
            await writer.drain()
            if hang:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/live.m3u8", heads


@pytest.fixture
async def client() -> AsyncIterator[HlsSession]:
    async with HlsClient(UrlGuard(allow_private=True)) as client:
        yield client.session("stream")


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def read(
    client: HlsSession,
    url: str,
    *,
    max_bytes: int = 1000,
    seconds: float = 5.0,
    validators: Validators | None = None,
) -> PlaylistAnswer:
    return await client.playlist(
        url, max_bytes=max_bytes, seconds=seconds, validators=validators or Validators()
    )


async def test_an_etag_makes_the_next_request_conditional(client: HlsSession) -> None:
    unchanged = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    async with origin(answer(b"#EXTM3U", 'ETag: "a"'), unchanged) as (url, heads):
        first = await read(client, url)
        second = await read(client, url, validators=first.validators)
    assert first.text == "#EXTM3U"
    assert second.text is None
    assert second.validators == first.validators
    assert 'if-none-match: "a"' in heads[1].lower()


@pytest.mark.parametrize(("modified", "used"), [("12:00:00", True), ("12:00:05", False)])
async def test_a_modification_time_counts_only_when_a_second_has_passed_since(
    client: HlsSession, modified: str, used: bool
) -> None:
    headers = (
        f"Last-Modified: Thu, 01 Jan 2026 {modified} GMT",
        "Date: Thu, 01 Jan 2026 12:00:05 GMT",
    )
    async with origin(answer(b"#EXTM3U", *headers)) as (url, _):
        found = await read(client, url)
    assert (found.validators.last_modified is not None) is used


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_playlist_is_unpacked(client: HlsSession, encoding: str) -> None:
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    body = pack(b"#EXTM3U" + b"\n" * 900)
    async with origin(answer(body, f"Content-Encoding: {encoding}")) as (url, _):
        assert (await read(client, url)).text == "#EXTM3U" + "\n" * 900


async def test_a_decompression_bomb_is_too_large(client: HlsSession) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    async with origin(answer(bomb, "Content-Encoding: gzip")) as (url, _):
        with pytest.raises(TooLargeError):
            await read(client, url, max_bytes=1 << 20)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"not gzip", "Content-Encoding: gzip"),
        (gzip.compress(bytes(5000), mtime=0)[:-9], "Content-Encoding: gzip"),
        (b"x", "Content-Encoding: br"),
    ],
    ids=["not gzip", "gzip cut short", "brotli"],
)
async def test_a_broken_or_unknown_compression_is_no_answer(
    client: HlsSession, body: bytes, header: str
) -> None:
    async with origin(answer(body, header)) as (url, _):
        with pytest.raises(UnreachableError):
            await read(client, url, max_bytes=10_000)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("404 Not Found", NotFoundError),
        ("410 Gone", NotFoundError),
        ("403 Forbidden", RefusedError),
        ("429 Too Many Requests", UnreachableError),
        ("500 Internal Server Error", UnreachableError),
    ],
)
async def test_each_status_has_its_error(
    client: HlsSession, status: str, error: type[Exception]
) -> None:
    async with origin(answer(b"", status=status)) as (url, _):
        with pytest.raises(error, match=status[:3]):
            await read(client, url)


async def test_a_body_that_is_declared_or_grows_too_large_is_not_read(client: HlsSession) -> None:
    endless = f"{OK}\r\n".encode() + bytes(100_000)
    async with origin(answer(bytes(2000)), endless) as (url, _):
        for _ in range(2):
            with pytest.raises(TooLargeError):
                await read(client, url)


async def test_an_origin_that_never_finishes_is_left_in_time(client: HlsSession) -> None:
    partial = f"{OK}Content-Length: 500\r\n\r\nabc".encode()
    async with origin(partial, hang=True) as (url, _):
        with pytest.raises(UnreachableError, match=r"within 0\.2 s"):
            await read(client, url, seconds=0.2)


async def test_a_download_is_a_file_with_the_prefix_in_front(
    client: HlsSession, tmp_path: Path
) -> None:
    async with origin(answer(b"segment")) as (url, _):
        written = await client.download(
            Resource(url=url), tmp_path / "f", max_bytes=100, seconds=5, prefix=b"init-"
        )
    assert written == 12
    assert (tmp_path / "f").read_bytes() == b"init-segment"


async def test_a_long_download_is_written_whole(client: HlsSession, tmp_path: Path) -> None:
    body = bytes(range(256)) * (5 << 11)  # 2.5 MiB, more than one step of writing
    async with origin(answer(body)) as (url, _):
        written = await client.download(
            Resource(url=url), tmp_path / "f", max_bytes=3 << 20, seconds=30
        )
    assert written == len(body)
    assert (tmp_path / "f").read_bytes() == body


async def test_a_part_is_asked_for_and_checked(client: HlsSession, tmp_path: Path) -> None:
    part = ByteRange(offset=10, length=4)
    answers = [answer(b"abcd", status="206 Partial Content"), answer(b"ab", status="206 x")]
    async with origin(*answers) as (url, heads):
        resource = Resource(url=url, byte_range=part)
        await client.download(resource, tmp_path / "f", max_bytes=100, seconds=5)
        with pytest.raises(UnreachableError, match="2 of 4 bytes"):
            await client.read(resource, max_bytes=100, seconds=5)
    assert "range: bytes=10-13" in heads[0].lower()


@pytest.mark.parametrize(
    "broken",
    [f"{OK}Content-Length: 500\r\n\r\nabc".encode(), answer(bytes(2000)), b"garbage\r\n\r\n"],
)
async def test_a_download_that_fails_leaves_no_file(
    client: HlsSession, tmp_path: Path, broken: bytes
) -> None:
    async with origin(broken) as (url, _):
        with pytest.raises((UnreachableError, TooLargeError)):
            await client.download(Resource(url=url), tmp_path / "f", max_bytes=1000, seconds=5)
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [
        ("429 Too Many Requests", "Retry-After: 5", 5.0),
        ("503 Service Unavailable", "Retry-After: 7", 7.0),
        ("503 Service Unavailable", "Retry-After: Thu, 01 Jan 2026 12:00:15 GMT", 10.0),
        ("503 Service Unavailable", "Retry-After: Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("503 Service Unavailable", "Retry-After: 99999999999999999999", LONGEST_RETRY_AFTER),
        ("503 Service Unavailable", "Retry-After: Fri, 01 Jan 2100 00:00:00 GMT", 120.0),
        ("503 Service Unavailable", "Retry-After: soon", None),
        ("503 Service Unavailable", "Retry-After: -3", None),
        ("503 Service Unavailable", "X-Nothing: 1", None),
    ],
)
async def test_an_origin_says_when_to_come_back(
    client: HlsSession, status: str, header: str, wait: float | None
) -> None:
    date = "Date: Thu, 01 Jan 2026 12:00:05 GMT"
    async with origin(answer(b"", header, date, status=status)) as (url, _):
        with pytest.raises(UnreachableError) as caught:
            await read(client, url)
    assert caught.value.retry_after == wait


async def test_too_many_requests_hold_back_all_requests_of_the_stream_to_that_host() -> None:
    limited = answer(b"", "Retry-After: 1", status="429 Too Many Requests")
    async with HlsClient(UrlGuard(allow_private=True)) as pool:
        one, other = pool.session(1), pool.session(2)
        async with origin(limited, answer(b"other"), answer(b"one")) as (url, _):
            with pytest.raises(UnreachableError):
                await read(one, url)
            held = asyncio.create_task(read(one, url))
            assert (await read(other, url)).text == "other"
            assert not held.done()
            assert (await held).text == "one"


async def test_a_slow_answer_may_take_its_time_as_long_as_something_comes(
    client: HlsSession,
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"{OK}Content-Length: 4\r\n\r\n".encode())
        for _ in range(4):
            await asyncio.sleep(0.15)
            writer.write(b"x")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        resource = Resource(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        assert await client.read(resource, max_bytes=9, seconds=30, idle=5) == b"xxxx"
        with pytest.raises(UnreachableError, match="no data within"):
            await client.read(resource, max_bytes=9, seconds=30, idle=0.05)


async def test_cookies_go_back_to_their_origin_within_a_stream_and_to_no_other_stream() -> None:
    first = answer(b"#EXTM3U", "Set-Cookie: CloudFront-Signature=secret; Path=/")
    async with HlsClient(UrlGuard(allow_private=True)) as pool:
        mine, theirs = pool.session(("tenant", 1)), pool.session(("other", 1))
        async with origin(first, answer(b"x"), answer(b"x")) as (url, heads):
            await read(mine, url)
            await read(pool.session(("tenant", 1)), url)
            await read(theirs, url)
    assert "CloudFront-Signature=secret" in heads[1]
    assert "secret" not in heads[2]


async def test_a_redirect_carries_no_cookie_to_another_host(client: HlsSession) -> None:
    async with origin(answer(b"moved"), answer(b"again")) as (other, heads):
        target = other.replace("127.0.0.1", "localhost")
        moved = answer(b"", f"Location: {target}", "Set-Cookie: a=secret", status="302 Found")
        async with origin(answer(b"", "Set-Cookie: a=secret"), moved) as (url, own):
            await read(client, url)
            await read(client, url)
    assert "a=secret" in own[1]
    assert "secret" not in heads[0]


async def test_cookies_without_end_do_not_fill_memory(client: HlsSession) -> None:
    many = [f"Set-Cookie: c{n}=x" for n in range(200)]
    large = f"Set-Cookie: large={'x' * 5000}"
    async with origin(answer(b"", *many, large), answer(b"")) as (url, heads):
        await read(client, url)
        await read(client, url)
    cookies = next(line for line in heads[1].splitlines() if line.lower().startswith("cookie:"))
    assert 0 < len(cookies.split(";")) <= 64
    assert "large" not in cookies


async def test_a_host_name_that_cannot_exist_is_unreachable(client: HlsSession) -> None:
    for host in ("a" * 70 + ".example", "xn--.example", "\ud800.example"):
        with pytest.raises(UnreachableError):
            await read(client, f"http://{host}/live.m3u8")


async def test_a_host_of_digits_is_checked_where_the_connection_is_made() -> None:
    async with HlsClient(UrlGuard()) as pool:
        for host in ("2130706433", "127.1", "0x7f.1"):
            with pytest.raises((UrlForbiddenError, UnreachableError)) as caught:
                await read(pool.session(1), f"https://{host}:9/live.m3u8")
            assert "no connection" not in str(caught.value)


async def test_a_redirect_to_an_internal_address_is_refused(client: HlsSession) -> None:
    moved = answer(b"", "Location: http://169.254.169.254/latest", status="302 Found")
    async with origin(moved) as (url, _):
        with pytest.raises(UrlForbiddenError):
            await read(client, url)


async def test_more_than_three_redirects_are_not_followed(client: HlsSession) -> None:
    moved = answer(b"", "Location: /next", status="302 Found")
    async with origin(moved, moved, moved, answer(b"#EXTM3U")) as (url, heads):
        assert (await read(client, url)).text == "#EXTM3U"
        assert heads[3].startswith("GET /next ")
    async with origin(*[moved] * 4) as (url, heads):
        with pytest.raises(UnreachableError, match="more than 3 redirects"):
            await read(client, url)
    assert len(heads) == 4


async def test_a_signed_url_is_requested_as_it_was_written(client: HlsSession) -> None:
    signed = "?Policy=a%2Fb%7E_&Signature=x%3d%3D+y&u=%E4;~"
    moved = answer(b"", f"Location: /moved{signed}", status="302 Found")
    async with origin(answer(b"x"), moved, answer(b"x")) as (url, heads):
        await read(client, url + signed)
        await read(client, url)
    assert heads[0].startswith(f"GET /live.m3u8{signed} HTTP/1.1\r\n")
    assert heads[2].startswith(f"GET /moved{signed} HTTP/1.1\r\n")
