"""How the client asks, repeats, gives up and downloads, in both its forms."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.openapi import document
from tldrtv_highlights import (
    ApiError,
    AsyncHighlightsClient,
    AuthenticationError,
    ClientUnusableError,
    ConflictError,
    ConnectionFailedError,
    DownloadError,
    HighlightsClient,
    HighlightsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RetryPolicy,
    ServerError,
    UnexpectedAnswerError,
)
from tldrtv_highlights._endpoint import AsyncFileBody, FileBody
from tldrtv_highlights._events import EventParser, stream_event
from tldrtv_highlights.errors import retry_after
from tldrtv_highlights.models import Clip, ClipDetail, StreamEvent

T = TypeVar("T")
Handler = Callable[[httpx.Request], httpx.Response]
FAST = RetryPolicy(retries=2, first=0.001, longest=0.01)
API = "http://api.test"
SCHEMAS = document()["components"]["schemas"]
STREAM = SCHEMAS["Stream"]["examples"][0]
HIGHLIGHT = SCHEMAS["Highlight"]["examples"][0]
PROFILE_MATCH = STREAM["profile_match"]
CLIP = SCHEMAS["ClipDetail"]["examples"][0] | {"url": "http://cdn.test/clip?signature=x"}
LOST = httpx.ReadError("lost")
UNREACHABLE = httpx.ConnectError("unreachable")


class Script:
    """Answers each request with the next entry; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        # A copy, since httpx lets a response be read in one way only.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


class Either:
    """One of the two clients, whose answers are awaited if they must be."""

    def __init__(self, *, asynchronous: bool) -> None:
        self._asynchronous = asynchronous

    def client(self, script: Handler, retry: RetryPolicy = FAST) -> Any:  # noqa: ANN401 - either
        kind = AsyncHighlightsClient if self._asynchronous else HighlightsClient
        return kind(API, "hl_test_key", retry=retry, transport=httpx.MockTransport(script))

    async def result(self, answer: T | Awaitable[T]) -> T:
        return await answer if isinstance(answer, Awaitable) else answer

    async def items(self, answer: Iterator[T] | AsyncIterator[T]) -> list[T]:
        found: list[T] = []
        await self.each(answer, found.append)
        return found

    async def each(self, answer: Iterator[T] | AsyncIterator[T], note: Callable[[T], None]) -> None:
        if isinstance(answer, AsyncIterator):
            async for each in answer:
                note(each)
        else:
            for each in answer:
                note(each)


@pytest.fixture(params=["sync", "async"])
def either(request: pytest.FixtureRequest) -> Either:
    return Either(asynchronous=request.param == "async")


def ok(body: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def problem(status: int, headers: dict[str, str] | None = None, **fields: object) -> httpx.Response:
    body = {"title": "No", "status": status, "code": "some_code", "detail": "Do this."} | fields
    return httpx.Response(status, json=body, headers=headers)


async def test_a_call_carries_the_key_and_json(either: Either) -> None:
    script = Script(ok(STREAM, 201))
    stream = await either.result(
        either.client(script).streams.analyze(
            "https://x.test/a.m3u8", game="soccer", max_height=720
        )
    )
    (request,) = script.requests
    assert (request.method, str(request.url)) == ("POST", f"{API}/v1/streams/analyze")
    assert request.headers["Authorization"] == "Bearer hl_test_key"
    assert json.loads(request.content) == {
        "url": "https://x.test/a.m3u8",
        "game": "soccer",
        "options": {"max_height": 720},
    }
    assert (stream.id, stream.is_over) == (STREAM["id"], False)


async def test_an_upload_sends_the_file_and_its_length(either: Either, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5_000  # more than one part
    file = written(tmp_path, content)
    script = Script(ok(STREAM, 201))
    await either.result(either.client(script).recordings.upload(file, game="soccer"))
    (request,) = script.requests
    assert str(request.url) == f"{API}/v1/recordings/upload?game=soccer"
    assert request.content == content
    assert request.headers["Content-Length"] == str(len(content))
    assert request.headers["Content-Type"] == "application/octet-stream"


def test_a_file_is_read_anew_for_each_repetition(tmp_path: Path) -> None:
    body = FileBody(written(tmp_path, b"film"))
    assert [list(body), list(body)] == [[b"film"], [b"film"]]


async def test_a_file_is_read_anew_for_each_repetition_by_asyncio_too(tmp_path: Path) -> None:
    body = AsyncFileBody(written(tmp_path, b"film"))
    for _ in range(2):
        assert [each async for each in body] == [b"film"]


def written(folder: Path, content: bytes) -> Path:
    file = folder / "film.mp4"
    file.write_bytes(content)
    return file


async def test_names_in_a_path_cannot_leave_their_place(either: Either) -> None:
    script = Script(ok({"profile": {}, "overridden": False, "shipped": True}))
    await either.result(either.client(script).profiles.get("../keys?x=1"))
    assert script.requests[0].url.raw_path == b"/v1/profiles/..%2Fkeys%3Fx%3D1"


async def test_fields_and_values_of_a_later_api_are_taken(either: Either) -> None:
    script = Script(ok(STREAM | {"mood": "tense", "status": "paused"}))
    stream = await either.result(either.client(script).streams.stop("s"))
    assert stream.status == "paused"


async def test_a_list_asks_for_its_pages_as_they_are_needed(either: Either) -> None:
    pages = [("a", "1"), ("b", "2"), ("c", None)]
    script = Script(
        *(ok({"data": [STREAM | {"id": id_}], "next_cursor": after}) for id_, after in pages)
    )
    found = either.client(script).streams.list(status="live", limit=1)
    assert script.requests == []
    assert [stream.id for stream in await either.items(found)] == ["a", "b", "c"]
    assert [request.url.params.get("cursor") for request in script.requests] == [None, "1", "2"]
    assert {request.url.params["status"] for request in script.requests} == {"live"}


async def test_several_values_of_a_filter_are_repeated(either: Either) -> None:
    script = Script(ok({"data": [], "next_cursor": None}))
    client = either.client(script)
    await either.items(client.highlights.list(status=["pending", "confirmed"]))
    assert script.requests[0].url.params.get_list("status") == ["pending", "confirmed"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (412, ConflictError),
        (422, InvalidRequestError),
        (428, ConflictError),
        (429, RateLimitedError),
        (500, ServerError),
        (503, ServerError),
        (418, ApiError),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind(
    either: Either, status: int, kind: type[ApiError]
) -> None:
    refusal = problem(
        status,
        {"Retry-After": "7"},
        request_id="req_1",
        errors=[{"pointer": "/url", "detail": "too long"}],
    )
    with pytest.raises(HighlightsError, match="Do this") as caught:
        await either.result(either.client(Script(refusal)).streams.get("s"))
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, ApiError)
    assert (error.status, error.code, error.title) == (status, "some_code", "No")
    assert (error.request_id, error.retry_after) == ("req_1", 7.0)
    assert error.errors[0]["pointer"] == "/url"


async def test_a_refusal_by_something_else_is_an_error_too(either: Either) -> None:
    answer = httpx.Response(413, text="<html>too large</html>", headers={"X-Request-Id": "req_2"})
    with pytest.raises(InvalidRequestError, match="too large") as caught:
        await either.result(either.client(Script(answer)).streams.get("s"))
    assert (caught.value.code, caught.value.request_id) == ("http_413", "req_2")


@pytest.mark.parametrize("content", [b"<html>welcome</html>", b"{}", b'{"id": "hl_live_secret"}'])
async def test_an_answer_of_something_else_is_said_to_be_one(
    either: Either, content: bytes
) -> None:
    script = Script(httpx.Response(200, content=content))
    with pytest.raises(UnexpectedAnswerError, match="check the API's address") as caught:
        await either.result(either.client(script).streams.get("s"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("failure", [LOST, UNREACHABLE, problem(503), problem(502), problem(429)])
async def test_what_does_no_harm_twice_is_repeated(
    either: Either, failure: httpx.Response | Exception
) -> None:
    script = Script(failure, failure, ok(STREAM))
    stream = await either.result(either.client(script).streams.stop("s"))
    assert stream.id == STREAM["id"]
    assert len(script.requests) == 3


async def test_a_creating_request_is_repeated_under_one_idempotency_key(either: Either) -> None:
    script = Script(LOST, ok(STREAM, 201), ok(STREAM, 201), ok(STREAM, 201))
    client = either.client(script)
    for own in (None, None, "mine"):
        await either.result(client.streams.analyze("https://x.test/", idempotency_key=own))
    first, again, second, own = [each.headers["Idempotency-Key"] for each in script.requests]
    assert first == again != second
    assert own == "mine"


@pytest.mark.parametrize(
    ("failure", "requests"), [(LOST, 1), (problem(503), 1), (UNREACHABLE, 3), (problem(429), 3)]
)
async def test_what_might_do_harm_twice_is_repeated_only_if_nothing_was_done(
    either: Either, failure: httpx.Response | Exception, requests: int
) -> None:
    script = Script(*[failure] * 3)
    with pytest.raises(HighlightsError):
        await either.result(either.client(script).profiles.put_override("soccer", {}, revision=3))
    assert len(script.requests) == requests
    assert script.requests[0].headers["If-Match"] == '"3"'


async def test_after_the_last_repetition_it_is_given_up(either: Either) -> None:
    script = Script(LOST, LOST, LOST)
    with pytest.raises(ConnectionFailedError, match="got no answer: lost"):
        await either.result(either.client(script).streams.get("s"))


async def test_a_wait_longer_than_wanted_is_left_to_the_caller(either: Either) -> None:
    script = Script(problem(429, {"Retry-After": "60"}))
    with pytest.raises(RateLimitedError) as caught:
        await either.result(either.client(script).streams.get("s"))
    assert caught.value.retry_after == 60


async def test_a_service_that_is_not_ready_says_what_is_away(either: Either) -> None:
    checks = {"database": {"ok": False, "detail": "no answer"}}
    answer = ok({"ready": False, "checks": checks}, 503)
    readiness = await either.result(either.client(Script(answer)).health.ready())
    assert readiness.checks["database"].detail == "no answer"


async def test_a_clip_is_downloaded_without_the_key(either: Either, tmp_path: Path) -> None:
    script = Script(
        httpx.Response(302, headers={"Location": "http://elsewhere.test/f"}),
        httpx.Response(200, content=b"film"),
    )
    facts = {"size": 4, "sha256": hashlib.sha256(b"film").hexdigest()}
    clip = ClipDetail.model_validate(CLIP | facts)
    path = await either.result(either.client(script).clips.download(clip, tmp_path / "clip.mp4"))
    assert path.read_bytes() == b"film"
    assert [request.headers.get("Authorization") for request in script.requests] == [None, None]


@pytest.mark.parametrize(
    ("facts", "answers", "kind"),
    [
        ({"size": 5, "sha256": None}, [httpx.Response(200, content=b"film")], DownloadError),
        ({"size": 4, "sha256": "00"}, [httpx.Response(200, content=b"film")], DownloadError),
        ({}, [LOST, LOST, LOST], DownloadError),
        ({}, [problem(403)], PermissionDeniedError),
    ],
)
async def test_a_file_that_is_not_whole_is_not_left_behind(
    either: Either,
    tmp_path: Path,
    facts: dict[str, Any],
    answers: list[httpx.Response | Exception],
    kind: type[HighlightsError],
) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"the former")
    clip = ClipDetail.model_validate(CLIP | facts)
    with pytest.raises(kind):
        await either.result(
            either.client(Script(*answers)).clips.download(clip, tmp_path / "clip.mp4")
        )
    assert contents(tmp_path) == [b"the former"]


def contents(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.iterdir()]


async def test_a_clip_that_is_not_ready_is_not_asked_for(either: Either, tmp_path: Path) -> None:
    clip = Clip.model_validate(CLIP | {"status": "rendering", "url": None, "thumbnail_url": None})
    clips = either.client(Script()).clips
    for fetch in (clips.download, clips.download_thumbnail):
        with pytest.raises(DownloadError, match="rendering"):
            await either.result(fetch(clip, tmp_path / "clip.mp4"))


async def test_what_is_left_out_of_a_change_stays_and_none_clears(either: Either) -> None:
    key = SCHEMAS["ApiKey"]["examples"][0]
    script = Script(ok(key), ok(key))
    client = either.client(script)
    await either.result(client.keys.update("k", name="new"))
    await either.result(client.keys.update("k", expires_at=None))
    bodies = [json.loads(request.content) for request in script.requests]
    assert bodies == [{"name": "new"}, {"expires_at": None}]


def events(*items: tuple[str, dict[str, Any]]) -> bytes:
    lines = [
        f"event: {kind}\nid: {number}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
        for number, (kind, data) in enumerate(items)
    ]
    return f"retry: 2000\n\n: still here\n\n{''.join(lines)}".encode()


def sse(*entries: tuple[str, dict[str, Any]]) -> httpx.Response:
    return httpx.Response(
        200, content=events(*entries), headers={"Content-Type": "text/event-stream; charset=utf-8"}
    )


async def test_a_quiet_stream_is_followed_over_any_number_of_cuts(either: Either) -> None:
    quiet = [sse() for _ in range(3 * FAST.retries)]
    script = Script(*quiet, LOST, LOST, *quiet, sse(("end", {"reason": "ended"})))
    found = await either.items(either.client(script).streams.follow("s"))
    assert [event.type for event in found] == ["end"]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>", headers={"Content-Type": "text/html"}),
        httpx.Response(302, headers={"Location": "https://elsewhere.test/"}),
        httpx.Response(
            200, content=b"data: {oops\n\n", headers={"Content-Type": "text/event-stream"}
        ),
        httpx.Response(
            200, content=b"data: \xff\n\n", headers={"Content-Type": "text/event-stream"}
        ),
    ],
    ids=["page", "redirect", "no JSON", "no UTF-8"],
)
async def test_an_answer_without_events_is_said_to_be_one(
    either: Either, answer: httpx.Response
) -> None:
    with pytest.raises(UnexpectedAnswerError, match="cannot be read"):
        await either.items(either.client(Script(answer)).streams.follow("s"))


async def test_a_body_that_cannot_be_decompressed_is_said_to_be_one(either: Either) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200,
            headers={"Content-Encoding": "gzip"},
            stream=httpx.ByteStream(b"no gzip"),
        )

    with pytest.raises(UnexpectedAnswerError, match="cannot be read"):
        await either.result(either.client(broken).streams.get("s"))


async def test_a_stream_is_followed_to_its_end_over_lost_connections(either: Either) -> None:
    title = "A line\u2028separator is no end of a line"
    script = Script(
        sse(("highlight", HIGHLIGHT | {"title": title})),
        LOST,
        problem(503),
        sse(("stream", STREAM), ("end", {"reason": "ended"})),
    )
    found = await either.items(either.client(script).streams.follow("s"))
    assert [event.type for event in found] == ["highlight", "stream", "end"]
    assert found[0].highlight.title == title
    assert (found[1].stream.id, found[2].reason) == (STREAM["id"], "ended")
    seen = [request.headers.get("Last-Event-ID") for request in script.requests]
    assert seen == [None, "0", "0", "0"]
    assert {request.headers["Accept"] for request in script.requests} == {"text/event-stream"}


@pytest.mark.parametrize(
    ("answers", "kind"), [([problem(404)], NotFoundError), ([LOST] * 3, ConnectionFailedError)]
)
async def test_a_stream_that_cannot_be_followed_is_an_error(
    either: Either, answers: list[httpx.Response | Exception], kind: type[HighlightsError]
) -> None:
    with pytest.raises(kind):
        await either.items(either.client(Script(*answers)).streams.follow("s"))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", AuthenticationError),
        (403, "address_not_allowed", PermissionDeniedError),
        (403, "missing_scope", PermissionDeniedError),
        (418, "a_later_code", ApiError),
    ],
)
async def test_an_error_event_is_raised_after_the_events_before_it(
    either: Either, status: int, code: str, kind: type[ApiError]
) -> None:
    document = {"title": "No", "status": status, "code": code, "detail": "Do.", "request_id": "r"}
    script = Script(sse(("highlight", HIGHLIGHT), ("error", document)))
    found: list[str] = []

    def note(event: StreamEvent) -> None:
        found.append(event.type)

    with pytest.raises(ApiError) as caught:
        await either.each(either.client(script).streams.follow("s"), note)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, caught.value.detail) == (status, code, "Do.")
    assert caught.value.request_id == "r"
    assert found == ["highlight"]
    assert len(script.requests) == 1, "it is not tried again"


@pytest.mark.parametrize("document", [{}, {"status": "401"}, {"status": True}])
async def test_an_error_event_without_a_problem_cannot_be_read(
    either: Either, document: dict[str, Any]
) -> None:
    with pytest.raises(UnexpectedAnswerError, match="cannot be read"):
        await either.items(either.client(Script(sse(("error", document)))).streams.follow("s"))


def test_events_may_come_in_any_pieces() -> None:
    text = events(("stream", STREAM), ("end", {"reason": "deleted"})).replace(b"\n", b"\r\n")
    parser = EventParser(stream_event)
    found = [event for at in range(len(text)) for event in parser.feed(text[at : at + 1])]
    assert [(event.type, event.id) for event in found] == [("stream", "0"), ("end", "1")]


async def test_the_clients_close() -> None:
    async with AsyncHighlightsClient(API, "k", transport=httpx.MockTransport(Script())) as one:
        pass
    with HighlightsClient(API, "k", transport=httpx.MockTransport(Script())) as other:
        pass
    with pytest.raises(ClientUnusableError, match="closed"):
        await one.streams.get("s")
    with pytest.raises(ClientUnusableError, match="closed"):
        other.streams.get("s")


def test_pauses_grow_and_are_bounded() -> None:
    policy = RetryPolicy(retries=10, first=1.0, longest=5.0)
    pauses = [policy.after_failure(n, LOST, repeatable=True) or 0.0 for n in range(10)]
    for n, pause in enumerate(pauses):
        longest = min(5.0, 2.0**n)
        assert longest / 2 <= pause <= longest
    assert policy.after_failure(10, LOST, repeatable=True) is None


def test_the_api_is_waited_for_as_long_as_it_says() -> None:
    answer = problem(429, {"Retry-After": "4"})
    assert (RetryPolicy().after_answer(0, answer, repeatable=False) or 0) >= 4


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("4", 4.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_a_wait_may_be_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(problem(429, {"Retry-After": value})) == seconds


def test_a_date_to_come_is_waited_for() -> None:
    at = datetime.now(UTC) + timedelta(seconds=60)
    found = retry_after(problem(503, {"Retry-After": format_datetime(at, usegmt=True)}))
    assert found == pytest.approx(60, abs=5)


def pickled(error: Exception) -> object:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - of our own making


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
async def test_errors_can_be_sent_to_another_process(copied: Callable[[Exception], Any]) -> None:
    with pytest.raises(RateLimitedError) as refused:
        HighlightsClient(
            API,
            "k",
            retry=RetryPolicy(retries=0),
            transport=httpx.MockTransport(Script(problem(429, {"Retry-After": "4"}))),
        ).streams.get("s")
    again = copied(refused.value)
    assert type(again) is RateLimitedError
    assert (str(again), vars(again)) == (str(refused.value), vars(refused.value))


def test_a_client_can_be_used_in_one_event_loop_after_the_other() -> None:
    script = Script(*[httpx.Response(200, json=STREAM)] * 2)
    client = AsyncHighlightsClient(API, "k", transport=httpx.MockTransport(script))
    for _ in range(2):
        assert asyncio.run(client.streams.get("s")).id


async def test_a_client_of_another_loop_that_runs_says_so() -> None:
    script = Script(*[httpx.Response(200, json=STREAM)] * 2)
    client = AsyncHighlightsClient(API, "k", transport=httpx.MockTransport(script))
    await client.streams.get("s")
    with pytest.raises(ClientUnusableError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, client.streams.get("s"))


@pytest.mark.parametrize("kind", [HighlightsClient, AsyncHighlightsClient])
def test_what_can_never_work_is_refused_when_the_client_is_made(
    kind: type[HighlightsClient | AsyncHighlightsClient],
) -> None:
    with pytest.raises(ValueError, match="must begin with https://"):
        kind("api.test", "k")
    with pytest.raises(ValueError, match="the API key is empty") as refused:
        kind(API, "hush\nhush")
    assert "hush" not in str(refused.value)
    kind(API, " hl_test_key\n")
