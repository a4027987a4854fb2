"""A variant that fails or stands still is left for another, without ending the stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from starlette.requests import Request
from starlette.responses import Response

from domain.streams.status import EndReason
from tests.integration.ingest.harness import IMPATIENT, QUICK, Answer, IngestHarness, static_origin

pytestmark = pytest.mark.timeout(60)

PATIENT = QUICK.model_copy(update={"start_timeout": 30.0, "stall_timeout": 30.0})


def master(*variants: tuple[int, str]) -> str:
    return "#EXTM3U\n" + "".join(
        f"#EXT-X-STREAM-INF:BANDWIDTH={height * 3000},RESOLUTION={height * 16 // 9}x{height}\n"
        f"{url}\n"
        for height, url in variants
    )


def live(first: int, number: int, *, end: bool = False, prefix: str = "") -> str:
    entries = "".join(f"#EXTINF:1.0,\n{prefix}seg{n}.ts\n" for n in range(first, first + number))
    tail = "#EXT-X-ENDLIST\n" if end else ""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n{entries}{tail}"


def turning(after: int, before: str | Answer, then: str | Answer) -> Answer:
    """Answer in one way a few times, and in another ever after."""
    readings = count()

    def answer(request: Request) -> Response | Awaitable[Response]:
        chosen = before if next(readings) < after else then
        return chosen(request) if callable(chosen) else Response(chosen)

    return answer


def status(code: int) -> Callable[[Request], Response]:
    return lambda _: Response(status_code=code)


@pytest.mark.parametrize(
    "broken",
    [status(404), status(403), status(500), "<html>no playlist</html>", master((720, "x.m3u8"))],
    ids=["404", "403", "500", "html", "master"],
)
async def test_the_next_variant_is_followed_where_the_first_cannot_be_read(
    ingest: IngestHarness, segments: dict[str, bytes], broken: str | Answer
) -> None:
    answers: dict[str, Answer | str | bytes] = {
        "master.m3u8": master((720, "high.m3u8"), (480, "gone.m3u8"), (360, "low.m3u8")),
        "high.m3u8": broken,
        "low.m3u8": live(0, 6, end=True),
        **segments,
    }
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/master.m3u8", PATIENT)
        assert hits["high.m3u8"] <= 5
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == list(range(6))
    assert story.results[-1].cursor.variant == "360p"


async def test_a_backup_of_the_same_rendition_comes_before_a_lower_one(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    answers: dict[str, Answer | str | bytes] = {
        "master.m3u8": master((720, "a.m3u8"), (480, "low.m3u8"), (720, "b.m3u8")),
        "b.m3u8": live(0, 6, end=True),
        "low.m3u8": live(0, 6, end=True),
        **segments,
    }
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/master.m3u8", PATIENT)
        assert hits["low.m3u8"] == 0
    assert story.sequences == list(range(6))


async def test_a_signed_address_that_expires_is_renewed_from_the_master_playlist(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    answers: dict[str, Answer | str | bytes] = {
        "master.m3u8": turning(1, master((720, "v.m3u8?sig=1")), master((720, "v.m3u8?sig=2"))),
        **segments,
    }
    first = turning(1, live(0, 3), status(403))

    def variant(request: Request) -> Response | Awaitable[Response]:
        if request.query_params["sig"] == "1":
            return first(request)
        return Response(live(0, 6, end=True))

    answers["v.m3u8"] = variant
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/master.m3u8", PATIENT)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == list(range(6))
    assert {segment.discontinuity_sequence for segment in story.segments} == {0}
    assert story.results[-1].cursor.media_playlist_url is not None
    assert story.results[-1].cursor.media_playlist_url.endswith("sig=2")


@pytest.mark.parametrize("offset", [0, 5000], ids=["numbered alike", "numbered apart"])
async def test_a_variant_that_stands_still_is_left_for_one_that_moves(
    ingest: IngestHarness, segments: dict[str, bytes], offset: int
) -> None:
    renamed = {
        f"low/seg{offset + n}.ts": data for n, data in enumerate(segments.values()) if n >= 3
    }
    answers: dict[str, Answer | str | bytes] = {
        "master.m3u8": master((720, "high.m3u8"), (360, "low.m3u8")),
        "high.m3u8": live(0, 3),
        "low.m3u8": live(offset + 3, 3, end=True, prefix="low/"),
        **segments,
        **renamed,
    }
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/master.m3u8", PATIENT)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == [0, 1, 2, *(offset + n for n in (3, 4, 5))]
    assert [s.discontinuity_sequence for s in story.segments] == [0, 0, 0, 1, 1, 1]
    assert story.results[-1].cursor.variant == "360p"
    story.assert_timeline_whole()


async def test_a_stream_that_has_stopped_is_not_asked_for_ever_faster(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    limits = QUICK.model_copy(update={"stall_timeout": 6.0})
    answers: dict[str, Answer | str | bytes] = {
        "master.m3u8": master((720, "high.m3u8"), (360, "low.m3u8")),
        "high.m3u8": live(0, 3),
        "low.m3u8": live(0, 3),
        **segments,
    }
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/master.m3u8", limits)
        assert hits["master.m3u8"] <= 5
        assert hits["low.m3u8"] <= 4
    assert story.reason is EndReason.STALLED
    assert story.sequences == [0, 1, 2]
    assert story.results[-1].cursor.variant == "720p"


async def test_a_master_playlist_that_has_expired_too_is_named_as_the_reason(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    answers: dict[str, Answer | str | bytes] = {
        "master.m3u8": turning(1, master((720, "v.m3u8")), status(403)),
        "v.m3u8": turning(2, live(0, 3), status(403)),
        **segments,
    }
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/master.m3u8", IMPATIENT)
    assert story.sequences == [0, 1, 2]
    assert story.reason is EndReason.STALLED
    assert "may have expired" in story.message
