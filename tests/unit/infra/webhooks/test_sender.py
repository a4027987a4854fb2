"""What an endpoint answers is bounded in time and size, and no failure of its is one of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from app.dev.supervisor import free_ports
from infra.ssrf import UrlGuard
from infra.webhooks.sender import MAX_RESPONSE_BYTES, WebhookResponse, WebhookSender

Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def endpoint(serve: Serve) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await serve(writer)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def send(url: str, *, timeout: float = 30.0) -> WebhookResponse:  # noqa: ASYNC109 the sender's own
    guard = UrlGuard(allow_private=True)
    async with WebhookSender(guard, timeout=timeout, max_connections=2) as sender:
        return await sender.send(url, "{}", {"webhook-id": "a"})


def saying(*parts: bytes, then: float = 0.0) -> Serve:
    async def serve(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
        await writer.drain()
        await asyncio.sleep(then)

    return serve


async def test_the_start_of_the_answer_is_kept_as_text() -> None:
    body = "nö\x00\x1b[31m".encode() + b"\xff" + b"x" * 2000
    head = f"HTTP/1.1 500 X\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with endpoint(saying(head, body)) as url:
        answer = await send(url)
    assert (answer.status_code, answer.succeeded) == (500, False)
    assert answer.error == "the endpoint answers 500"
    assert answer.excerpt.startswith("nö[31m\ufffdx")
    assert len(answer.excerpt) <= 1000


async def test_an_answer_without_end_is_read_no_further_than_need_be() -> None:
    async def pour(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"x" * MAX_RESPONSE_BYTES)
            await writer.drain()

    async with endpoint(pour) as url:
        answer = await send(url)
    assert answer.succeeded


async def test_a_body_that_never_comes_does_not_undo_the_status() -> None:
    head = b"HTTP/1.1 202 X\r\nContent-Length: 10\r\n\r\n"
    async with endpoint(saying(head, then=60.0)) as url:
        answer = await send(url, timeout=0.5)
    assert (answer.succeeded, answer.error) == (True, None)


async def test_silence_is_a_failure_after_a_while() -> None:
    async with endpoint(saying(then=60.0)) as url:
        answer = await send(url, timeout=0.2)
    assert (answer.status_code, answer.error) == (None, "no answer within 0.2 s")


async def test_an_endpoint_that_is_gone_is_known_as_such() -> None:
    async with endpoint(saying(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")) as url:
        assert (await send(url)).gone


async def test_a_broken_answer_is_a_failure() -> None:
    async with endpoint(saying(b"not http\r\n\r\n")) as url:
        answer = await send(url)
    assert answer.status_code is None
    assert "the connection failed" in (answer.error or "")


async def test_a_refused_connection_is_a_failure() -> None:
    (port,) = free_ports(1)
    assert (await send(f"http://127.0.0.1:{port}/")).status_code is None


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "xn--0.example", "nowhere.invalid"])
async def test_a_name_that_cannot_be_resolved_is_a_failure(host: str) -> None:
    answer = await send(f"http://{host}/")
    assert answer.error


async def test_a_cookie_of_one_delivery_is_not_sent_with_another() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 X\r\nSet-Cookie: session=secret; Path=/\r\n")
        writer.write(b"Connection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    guard = UrlGuard(allow_private=True)
    async with server, WebhookSender(guard, timeout=30.0, max_connections=2) as sender:
        for tenant in ("a", "b"):
            assert (await sender.send(url, "{}", {"webhook-id": tenant})).succeeded
    assert len(heads) == 2
    assert b"secret" not in heads[1]
