"""Streams are fetched at their own pace, and what belongs to one stream serves no other."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from itertools import count
from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.streams.status import EndReason
from tests.integration.ingest.harness import IMPATIENT, QUICK, Answer, IngestHarness, static_origin

pytestmark = pytest.mark.timeout(60)


def playlist(*names: str, target: int = 1, end: bool = True, head: str = "") -> str:
    entries = "".join(f"#EXTINF:1.0,\n{name}\n" for name in names)
    tail = "#EXT-X-ENDLIST\n" if end else ""
    return (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n{head}{entries}{tail}"
    )


def slowly(body: bytes, seconds: float) -> Answer:
    """Answer after a while, as an origin does that makes its segments on demand."""

    return lambda _: _Slow(body, seconds)


class _Slow(Response):
    def __init__(self, body: bytes, seconds: float) -> None:
        super().__init__(body)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self._seconds)
        await super().__call__(scope, receive, send)


async def test_segments_that_take_nearly_as_long_as_they_last_are_fetched(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    limits = QUICK.model_copy(update={"request_timeout": 0.4})
    answers: dict[str, Answer | str | bytes] = {
        name: slowly(data, 0.9) for name, data in segments.items()
    }
    answers["live.m3u8"] = playlist(*segments)
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8", limits)
        assert all(hits[name] == 1 for name in segments)
    assert story.sequences == list(range(6))
    assert story.gaps == []


@pytest.mark.parametrize("status", [429, 503])
async def test_an_origin_that_asks_to_wait_is_left_alone_until_then(
    ingest: IngestHarness, segments: dict[str, bytes], status: int
) -> None:
    times: defaultdict[str, list[float]] = defaultdict(list)

    def busy(name: str, content: bytes) -> Answer:
        def answer(_: Request) -> Response:
            times[name].append(time.monotonic())
            if len(times[name]) == 1:
                return Response(status_code=status, headers={"Retry-After": "1"})
            return Response(content)

        return answer

    answers: dict[str, Answer | str | bytes] = {**segments}
    answers["live.m3u8"] = busy("live.m3u8", playlist(*segments).encode())
    answers["seg2.ts"] = busy("seg2.ts", segments["seg2.ts"])
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", QUICK)
    assert story.gaps == []
    for asked in times.values():
        assert len(asked) == 2
        assert asked[1] - asked[0] >= 0.95


async def test_an_origin_in_trouble_is_asked_less_and_less(ingest: IngestHarness) -> None:
    limits = IMPATIENT.model_copy(update={"start_timeout": 3.0})
    async with static_origin({"live.m3u8": lambda _: Response(status_code=500)}) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8", limits)
        assert hits.total() <= 5
    assert story.reason is EndReason.ORIGIN_UNREACHABLE


async def test_a_window_of_hours_with_signed_addresses_is_followed_from_its_live_end(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    token = "x" * 230
    lines = "".join(f"#EXTINF:2.0,\nold{n}.ts?token={token}\n" for n in range(7200))
    text = playlist(*segments, target=2, head=lines)
    assert len(text) > 1_800_000
    limits = QUICK.model_copy(update={"max_backlog": 6.0})
    answers: dict[str, Answer | str | bytes] = {**segments}
    answers["live.m3u8"] = text.replace("#EXT-X-ENDLIST\n", "")
    async with static_origin(answers) as (base, _):
        result = await ingest.window(ingest.request(f"{base}/live.m3u8", limits))
    assert result.window is not None
    assert [each.media_sequence for each in result.window.segments] == [7200, 7201, 7202]


async def test_a_cookie_opens_the_stream_that_it_was_set_for_and_no_other(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    opened: list[str] = []

    def signed(request: Request) -> Response:
        response = Response(playlist(*segments))
        if "tenant=a" in str(request.url):
            response.set_cookie("CloudFront-Signature", "secret")
        return response

    def guarded(data: bytes) -> Answer:
        def answer(request: Request) -> Response:
            if request.cookies.get("CloudFront-Signature") != "secret":
                return Response(status_code=403)
            opened.append(request.url.path)
            return Response(data)

        return answer

    answers: dict[str, Answer | str | bytes] = {
        name: guarded(data) for name, data in segments.items()
    }
    answers["live.m3u8"] = signed
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8?tenant=a", IMPATIENT)
        assert story.sequences == list(range(6))
        assert len(opened) == 6
        ingest.tenant_id = uuid4()
        story = await ingest.follow(f"{base}/live.m3u8?tenant=b", IMPATIENT)
    assert story.reason is EndReason.NO_MEDIA
    assert len(opened) == 6


async def test_an_initialization_section_is_read_for_each_stream_and_again_after_a_break(
    ingest: IngestHarness, fmp4: dict[str, bytes]
) -> None:
    head = '#EXT-X-MAP:URI="init.mp4"\n'
    text = playlist("seg0.m4s", "seg1.m4s", head=head).replace(
        "#EXT-X-ENDLIST", "#EXT-X-DISCONTINUITY\n#EXTINF:1.0,\nseg2.m4s\n#EXT-X-ENDLIST"
    )
    async with static_origin({"live.m3u8": text, **fmp4}) as (base, hits):
        for expected in (2, 4):
            story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
            assert story.sequences == [0, 1, 2]
            assert hits["init.mp4"] == expected
            ingest.stream_id = uuid4()


async def test_an_initialization_section_replaced_behind_its_address_is_read_again(
    ingest: IngestHarness, fmp4: dict[str, bytes]
) -> None:
    readings = count()

    def section(_: Request) -> Response:
        return Response(b"not yet" if next(readings) == 0 else fmp4["init.mp4"])

    text = playlist("seg0.m4s", "seg1.m4s", "seg2.m4s", head='#EXT-X-MAP:URI="init.mp4"\n')
    answers: dict[str, Answer | str | bytes] = {**fmp4, "live.m3u8": text, "init.mp4": section}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.sequences == [0, 1, 2]
