"""100ms's list of live streams: read whole, asked for with a token, and its refusals understood."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import jwt
import pytest

from infra.encryption import ManagementKey
from infra.hms_api import MAX_PAGES, PAGE_SIZE, HmsApi, HmsApiError, management_token

KEY = ManagementKey(access_key="access", secret=b"a management secret of forty characters.")
NOW = datetime(2026, 5, 2, 19, 0, tzinfo=UTC)


def api(answer: Callable[[httpx.Request], httpx.Response]) -> HmsApi:
    made = HmsApi("https://api.100ms.test", clock=lambda: NOW)
    made._http = httpx.AsyncClient(
        base_url="https://api.100ms.test", transport=httpx.MockTransport(answer)
    )
    return made


def page(names: list[str], last: str | None) -> httpx.Response:
    data = [{"id": name, "status": "running", "playback": {"url": "u"}} for name in names]
    return httpx.Response(200, json={"limit": PAGE_SIZE, "data": data, "last": last})


def test_a_token_says_what_100ms_asks_for() -> None:
    token = management_token(KEY, now=NOW)
    claims = jwt.decode(token, KEY.secret, ["HS256"], options={"verify_exp": False})
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert claims["access_key"] == "access"
    assert (claims["type"], claims["version"]) == ("management", 2)
    assert claims["iat"] == claims["nbf"] < NOW.timestamp() < claims["exp"]
    assert (
        claims["jti"]
        != jwt.decode(
            management_token(KEY, now=NOW), KEY.secret, ["HS256"], options={"verify_exp": False}
        )["jti"]
    )


async def test_the_list_is_read_over_all_its_pages() -> None:
    names = [f"s{index}" for index in range(2 * PAGE_SIZE + 3)]
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        start = request.url.params.get("start")
        asked.append(start)
        assert request.url.path == "/v2/live-streams"
        assert request.headers["Authorization"].startswith("Bearer ")
        begin = 0 if start is None else names.index(start) + 1
        found = names[begin : begin + PAGE_SIZE]
        return page(found, found[-1])

    found = await api(answer).live_streams(KEY)
    assert [each.id for each in found] == names
    assert asked == [None, names[PAGE_SIZE - 1], names[2 * PAGE_SIZE - 1]]


async def test_a_list_without_an_end_is_left_after_some_pages() -> None:
    count = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        return page([f"{count}-{index}" for index in range(PAGE_SIZE)], f"{count}")

    await api(answer).live_streams(KEY)
    assert count == MAX_PAGES


async def test_a_page_that_names_itself_as_the_next_ends_the_list() -> None:
    full = [str(index) for index in range(PAGE_SIZE)]
    found = await api(lambda _: page(full, "same")).live_streams(KEY)
    assert len(found) == 2 * PAGE_SIZE


@pytest.mark.parametrize(
    ("status", "header", "retryable", "wait"),
    [
        (429, "7", True, timedelta(seconds=7)),
        (429, format_datetime(NOW + timedelta(seconds=9), usegmt=True), True, timedelta(seconds=9)),
        (429, "86400", True, timedelta(minutes=5)),
        (429, "soon", True, None),
        (429, None, True, None),
        (500, None, True, None),
        (503, "1", True, timedelta(seconds=1)),
        (401, None, False, None),
        (403, None, False, None),
        (404, None, False, None),
        (302, None, False, None),
    ],
)
async def test_a_refusal_says_whether_and_when_to_ask_again(
    status: int, header: str | None, *, retryable: bool, wait: timedelta | None
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    with pytest.raises(HmsApiError) as caught:
        await api(lambda _: httpx.Response(status, headers=headers)).live_streams(KEY)
    assert (caught.value.retryable, caught.value.retry_after) == (retryable, wait)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"data": 1}', b'{"data": [1]}'])
async def test_another_answer_is_an_error(content: bytes) -> None:
    with pytest.raises(HmsApiError):
        await api(lambda _: httpx.Response(200, content=content)).live_streams(KEY)


@pytest.mark.parametrize("content", [{}, {"data": []}, {"data": [{"id": 4, "status": []}]}])
async def test_a_list_of_less_is_read_as_far_as_it_goes(content: dict[str, object]) -> None:
    found = await api(lambda _: httpx.Response(200, content=json.dumps(content))).live_streams(KEY)
    assert all(each.status is None for each in found)


async def test_no_answer_at_all_is_worth_another_try() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(HmsApiError) as caught:
        await api(answer).live_streams(KEY)
    assert caught.value.retryable


async def test_a_cookie_of_one_workspace_is_not_sent_for_another() -> None:
    cookies: list[str | None] = []

    class Server(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            cookies.append(request.headers.get("Cookie"))
            answer = page([], None)
            answer.headers["Set-Cookie"] = "session=secret; Path=/"
            return answer

    made = HmsApi("https://api.100ms.test", clock=lambda: NOW)
    made._http._transport = Server()
    await made.live_streams(KEY)
    await made.live_streams(KEY)
    assert cookies == [None, None]
