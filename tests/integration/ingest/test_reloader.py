"""Reloads of one playlist against a scripted server: what is asked, and what is done without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.requests import Request
from starlette.responses import Response

from activities.ingest.reloader import PlaylistReloader
from domain.ingest.low_latency import PlaylistUpdate
from domain.ingest.messages import IngestLimits
from domain.ingest.playlist import MediaPlaylist
from infra.media.hls_client import HlsClient, UnreachableError
from infra.ssrf import UrlGuard
from tests.integration.ingest.harness import static_origin

CONTROL = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12\n"


def listing(first: int, last: int, *, skipped: int = 0, tail: str = "") -> str:
    entries = "".join(f"#EXTINF:2,\n{n}.ts\n" for n in range(first + skipped, last + 1))
    skip = f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n" if skipped else ""
    head = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{CONTROL}#EXT-X-MEDIA-SEQUENCE:{first}\n"
    return head + skip + entries + tail


@asynccontextmanager
async def reloading(
    answer: Callable[[str], Response | str],
) -> AsyncIterator[tuple[PlaylistReloader, str, list[str]]]:
    """A reloader, the URL of a playlist that is answered by its query, and the queries so far."""
    queries: list[str] = []

    def respond(request: Request) -> Response:
        queries.append(request.url.query)
        found = answer(request.url.query)
        return found if isinstance(found, Response) else Response(found)

    async with (
        static_origin({"live.m3u8": respond}) as (base, _),
        HlsClient(UrlGuard(allow_private=True)) as client,
    ):
        session = client.session("one")
        yield (
            PlaylistReloader(session, limits=IngestLimits(), parts=True),
            f"{base}/live.m3u8?token=a",
            queries,
        )


async def read(reloader: PlaylistReloader, url: str) -> MediaPlaylist | None:
    playlist = await reloader.read(url, variables={})
    assert playlist is None or isinstance(playlist, MediaPlaylist)
    return playlist


async def test_a_reload_asks_for_the_next_segment_and_a_delta_and_keeps_the_url() -> None:
    def answer(query: str) -> str:
        return listing(1, 11, skipped=4) if "_HLS_msn=11" in query else listing(0, 10)

    async with reloading(answer) as (reloader, url, queries):
        await read(reloader, url)
        assert reloader.waits
        second = await read(reloader, url)
        assert reloader.waits
    assert queries == ["token=a", "token=a&_HLS_msn=11&_HLS_skip=YES"]
    assert second is not None
    assert [each.sequence for each in second.segments] == list(range(1, 12))


async def test_a_delta_update_that_skips_too_much_is_followed_by_the_whole_playlist() -> None:
    def answer(query: str) -> str:
        return listing(15, 30, skipped=9) if "_HLS_skip" in query else listing(0, 10)

    async with reloading(answer) as (reloader, url, queries):
        await read(reloader, url)
        second = await read(reloader, url)
        await read(reloader, url)
    assert queries[:3] == ["token=a", "token=a&_HLS_msn=11&_HLS_skip=YES", "token=a"]
    assert "_HLS_skip" not in queries[3]
    assert second is not None
    assert [each.sequence for each in second.segments] == list(range(11))


async def test_a_server_that_answers_at_once_is_not_asked_again_without_a_delay() -> None:
    async with reloading(lambda _: listing(0, 10)) as (reloader, url, queries):
        await read(reloader, url)
        for _ in range(3):
            await read(reloader, url)
            assert not reloader.waits
        await read(reloader, url)
    assert ["_HLS_msn" in each for each in queries] == [False, True, True, True, False]


@pytest.mark.parametrize("status", [400, 404, 503])
async def test_a_refused_wait_costs_one_request_and_then_the_playlist_is_polled(
    status: int,
) -> None:
    def answer(query: str) -> Response | str:
        return Response(status_code=status) if "_HLS_msn" in query else listing(0, 10)

    async with reloading(answer) as (reloader, url, queries):
        await read(reloader, url)
        await read(reloader, url)
        await read(reloader, url)
        assert not reloader.waits
    assert ["_HLS_msn" in each for each in queries] == [False, True, False, False]


async def test_a_server_that_asks_to_wait_is_not_asked_at_once_in_another_way() -> None:
    def answer(query: str) -> Response | str:
        slow = Response(status_code=503, headers={"Retry-After": "1"})
        return slow if "_HLS_msn" in query else listing(0, 10)

    async with reloading(answer) as (reloader, url, queries):
        await read(reloader, url)
        with pytest.raises(UnreachableError):
            await read(reloader, url)
    assert len(queries) == 2


async def test_the_first_request_waits_for_what_another_rendition_reports() -> None:
    async with reloading(lambda _: listing(0, 10)) as (reloader, url, queries):
        expected = PlaylistUpdate(sequence=10)
        await reloader.read(url, variables={}, expected=expected)
        await reloader.read(url, variables={}, expected=expected, hold=0.0)
    assert queries == ["token=a&_HLS_msn=10", "token=a&_HLS_skip=YES"]
