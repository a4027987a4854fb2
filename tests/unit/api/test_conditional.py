"""Only complete JSON documents get a tag; streams and files pass as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Message, Scope

from api.middleware.conditional import ConditionalReads, matches


@pytest.mark.parametrize("asked", ['W/"a"', '"a"', '"b", W/"a"', "*", ' "b" ,"a"'])
def test_these_name_the_version(asked: str) -> None:
    assert matches(asked, 'W/"a"')
    assert matches(asked, '"a"')


@pytest.mark.parametrize("asked", [None, "", '"b"', "a", 'W/"b"'])
def test_these_do_not(asked: str | None) -> None:
    assert not matches(asked, 'W/"a"')


async def sent(
    response: Response, *, path: str = "/v1/x", method: str = "GET", asked: str = ""
) -> list[Message]:
    messages: list[Message] = []
    headers = [(b"if-none-match", asked.encode())] if asked else []
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": headers}
    scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}

    async def send(message: Message) -> None:
        messages.append(dict(message))

    async def receive() -> Message:
        raise AssertionError("nothing is to be read")

    await ConditionalReads(response)(scope, receive, send)
    return messages


def header(messages: Sequence[Message], name: str) -> str | None:
    headers: dict[bytes, bytes] = dict(messages[0]["headers"])
    found = headers.get(name.encode())
    return None if found is None else found.decode()


async def test_equal_documents_have_equal_tags_and_others_others() -> None:
    first, again, other = [await sent(JSONResponse({"a": n})) for n in (1, 1, 2)]
    assert header(first, "etag") == header(again, "etag") != header(other, "etag")
    assert (header(first, "etag") or "").startswith('W/"')
    assert header(first, "cache-control") == "private, no-cache"


async def test_a_version_that_the_client_has_is_not_sent_again() -> None:
    etag = header(await sent(JSONResponse({"a": 1})), "etag") or ""
    start, body = await sent(JSONResponse({"a": 1}), asked=etag)
    assert (start["status"], body["body"]) == (304, b"")
    assert header([start], "etag") == etag
    assert header([start], "content-type") is None
    changed, _ = await sent(JSONResponse({"a": 2}), asked=etag)
    assert changed["status"] == 200


async def test_a_tag_of_the_routes_own_stands() -> None:
    own = {"ETag": '"7"', "Cache-Control": "no-store"}
    start, _ = await sent(JSONResponse({}, headers=own), asked='"7"')
    assert start["status"] == 304
    assert header([start], "cache-control") == "no-store"


async def test_a_document_in_pieces_is_tagged_as_a_whole() -> None:
    async def pieces() -> Any:  # noqa: ANN401 - an async generator
        yield b'{"a":'
        yield b"1}"

    whole = await sent(JSONResponse({"a": 1}))
    parts = await sent(StreamingResponse(pieces(), media_type="application/json"))
    assert header(parts, "etag") == header(whole, "etag")


NOT_TAGGED: list[tuple[str, Callable[[], Response], dict[str, str]]] = [
    ("another type", lambda: PlainTextResponse("x"), {}),
    ("an error", lambda: JSONResponse({}, status_code=404), {}),
    ("a change", lambda: JSONResponse({}), {"method": "POST"}),
    ("no resource", lambda: JSONResponse({}), {"path": "/healthz"}),
]


@pytest.mark.parametrize(("response", "request_"), [case[1:] for case in NOT_TAGGED])
async def test_what_gets_no_tag(response: Callable[[], Response], request_: dict[str, str]) -> None:
    assert header(await sent(response(), **request_), "etag") is None


async def test_events_are_passed_on_one_by_one() -> None:
    async def events() -> Any:  # noqa: ANN401 - an async generator
        yield b"data: 1\n\n"
        yield b"data: 2\n\n"

    _, *bodies = await sent(StreamingResponse(events(), media_type="text/event-stream"))
    assert [each["body"] for each in bodies if each["body"]] == [b"data: 1\n\n", b"data: 2\n\n"]
