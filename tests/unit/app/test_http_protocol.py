"""What cannot be read as HTTP is answered by a problem document, like everything else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.serve import MAX_HEAD_BYTES, ProblemProtocol

PATIENCE = 30.0


async def read_and_answer(scope: Scope, receive: Receive, send: Send) -> None:
    async for _ in Request(scope, receive).stream():
        pass
    await PlainTextResponse("fine")(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(read_and_answer, http=ProblemProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
    listener.close()


def answer(address: tuple[str, int], request: bytes) -> tuple[str, dict[str, str], bytes]:
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return status, headers, body


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET /\xe2\x80\xa6 HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http(address: tuple[str, int], request_: bytes) -> None:
    status, headers, body = answer(address, request_)
    problem = json.loads(body)
    assert status == "HTTP/1.1 400 Bad Request"
    assert headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["code"]) == (400, "bad_request")
    assert problem["type"] == "/errors#bad_request"
    assert problem["request_id"] == headers["x-request-id"]


def test_headers_without_an_end(address: tuple[str, int]) -> None:
    endless = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (MAX_HEAD_BYTES + 1)
    status, _, body = answer(address, endless)
    assert status == "HTTP/1.1 431 Request Header Fields Too Large"
    assert json.loads(body)["code"] == "headers_too_large"


def test_a_large_body_is_no_header(address: tuple[str, int]) -> None:
    body = b"a" * (4 * MAX_HEAD_BYTES)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    status, _, _ = answer(address, head.encode() + body)
    assert status == "HTTP/1.1 200 OK"


def test_what_is_readable_is_answered(address: tuple[str, int]) -> None:
    status, _, body = answer(address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (status, body) == ("HTTP/1.1 200 OK", b"fine")
