"""Each bad input ends in a state of its own, with a sentence that says what to do."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.dev.supervisor import free_ports
from demo.origin import Faults, LiveOrigin, OriginOptions
from demo.origin.faults import CorruptSegment, Redirect
from domain.media.segments import GapReason
from domain.streams.status import EndReason, StreamStatus
from infra.media.hls_client import HlsClient
from infra.ssrf import UrlGuard
from tests.integration.ingest.harness import IMPATIENT, Answer, IngestHarness, static_origin

pytestmark = pytest.mark.timeout(60)

EMPTY = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"


def live(first: int, count: int = 3, *, tags: str = "", suffix: str = "ts") -> str:
    entries = "".join(f"#EXTINF:1.0,\nseg{n}.{suffix}\n" for n in range(first, first + count))
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n{tags}{entries}"


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(master="html"), EndReason.NOT_A_PLAYLIST),
        (Faults(master="binary"), EndReason.NOT_A_PLAYLIST),
        (Faults(master="gzip_bomb"), EndReason.PLAYLIST_TOO_LARGE),
        (Faults(master="missing"), EndReason.NEVER_STARTED),
        (Faults(encrypted=True), EndReason.ENCRYPTED),
        (
            Faults(redirect=Redirect(of="master", location="ftp://x/y")),
            EndReason.URL_FORBIDDEN,
        ),
        (
            Faults(redirect=Redirect(of="media", location="http://169.254.169.254/latest")),
            EndReason.URL_FORBIDDEN,
        ),
    ],
)
async def test_a_stream_that_cannot_be_read_fails_and_says_why(
    ingest: IngestHarness, video: Path, faults: Faults, reason: EndReason
) -> None:
    options = OriginOptions(pace=8.0, segment_duration=1.0, faults=faults)
    async with LiveOrigin(video, options) as origin:
        story = await ingest.follow(origin.master_url, IMPATIENT)
    assert story.reason is reason
    assert story.results[-1].end is not None
    assert story.results[-1].end.status is StreamStatus.FAILED
    assert story.segments == []
    assert await ingest.media_keys() == []


async def test_a_recording_is_refused(ingest: IngestHarness, video: Path) -> None:
    options = OriginOptions(segment_duration=1.0, playlist_type="vod")
    async with LiveOrigin(video, options) as origin:
        await origin.finished.wait()
        story = await ingest.follow(origin.master_url, IMPATIENT)
    assert story.reason is EndReason.VOD_PLAYLIST
    assert story.segments == []


async def test_a_finished_playlist_without_a_type_is_read_to_its_end(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    playlist = live(0, 6) + "#EXT-X-ENDLIST\n"
    async with static_origin({"live.m3u8": playlist, **segments}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == list(range(6))
    assert {segment.key.split("/")[3] for segment in story.segments} == {"source"}


@pytest.mark.parametrize("url", ["ftp://example.com/x", "http://user:pw@127.0.0.1/x", "nonsense"])
async def test_a_url_of_another_kind_is_refused_at_once(ingest: IngestHarness, url: str) -> None:
    story = await ingest.follow(url, IMPATIENT)
    assert story.reason is EndReason.URL_FORBIDDEN


async def test_a_private_address_is_refused_unless_allowed(
    ingest: IngestHarness,
) -> None:
    async with static_origin({"live.m3u8": live(0)}) as (base, hits):
        async with HlsClient(UrlGuard()) as guarded:
            worker = ingest.worker(client=guarded)
            by_address = await ingest.window(ingest.request(f"{base}/live.m3u8"), worker=worker)
            port = base.rpartition(":")[2]
            by_name = await ingest.window(
                ingest.request(f"https://localhost:{port}/live.m3u8"), worker=worker
            )
        assert hits.total() == 0
    for result in (by_address, by_name):
        assert result.end is not None
        assert result.end.reason is EndReason.URL_FORBIDDEN


async def test_an_origin_that_does_not_answer(ingest: IngestHarness) -> None:
    (port,) = free_ports(1)
    story = await ingest.follow(f"http://127.0.0.1:{port}/live.m3u8", IMPATIENT)
    assert story.reason is EndReason.ORIGIN_UNREACHABLE


async def test_an_origin_that_answers_with_errors(ingest: IngestHarness) -> None:
    broken = {"live.m3u8": lambda _: Response(status_code=503)}
    async with static_origin(broken) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.reason is EndReason.ORIGIN_UNREACHABLE
    assert "503" in story.message


async def test_endless_redirects(ingest: IngestHarness) -> None:
    loop = {"live.m3u8": lambda request: RedirectResponse(str(request.url))}
    async with static_origin(loop) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
        assert hits["live.m3u8"] > 4
    assert story.reason is EndReason.ORIGIN_UNREACHABLE


@pytest.mark.parametrize("text", ["", EMPTY])
async def test_a_playlist_that_stays_empty_never_started(ingest: IngestHarness, text: str) -> None:
    async with static_origin({"live.m3u8": text}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.reason is EndReason.NEVER_STARTED


async def test_a_playlist_too_large_to_be_one(ingest: IngestHarness) -> None:
    limits = IMPATIENT.model_copy(update={"max_playlist_bytes": 1000})
    async with static_origin({"live.m3u8": live(0, 500)}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", limits)
    assert story.reason is EndReason.PLAYLIST_TOO_LARGE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"error": "not found"}', "begins with"),
        ("#EXTM3U\n#EXTINF:1,\n{$base}/x.ts\n", "uses the variable base, which it does not define"),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://[x\n",
            "none of its variants can be read: its URL is malformed",
        ),
    ],
)
async def test_what_cannot_be_followed_is_no_playlist_and_says_why(
    ingest: IngestHarness, text: str, why: str
) -> None:
    async with static_origin({"live.m3u8": text}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.reason is EndReason.NOT_A_PLAYLIST
    assert why in story.message


@pytest.mark.parametrize("end", ["silent", "gone"])
async def test_a_stream_that_just_stops_ends_as_stalled_with_what_it_gave(
    ingest: IngestHarness, video: Path, end: str
) -> None:
    faults = Faults.model_validate({"end": end})
    options = OriginOptions(pace=8.0, segment_duration=1.0, faults=faults)
    async with LiveOrigin(video, options) as origin:
        story = await ingest.follow(origin.master_url, IMPATIENT)
    assert story.reason is EndReason.STALLED
    assert story.results[-1].end is not None
    assert story.results[-1].end.status is StreamStatus.COMPLETED
    assert story.sequences[:11] == list(range(11))  # the last may be gone as it appears
    assert any(result.stalled for result in story.results)


async def test_a_live_origin_that_breaks_is_told_from_a_stall(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    readings = count()

    def playlist(_: Request) -> Response:
        return Response(live(0)) if next(readings) < 2 else Response(status_code=502)

    async with static_origin({"live.m3u8": playlist, **segments}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.sequences == [0, 1, 2]
    assert story.reason is EndReason.ORIGIN_UNREACHABLE
    assert "502" in story.message


async def test_a_playlist_that_goes_back_in_time(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    readings = count()

    def playlist(_: Request) -> Response:
        return Response(live(100) if next(readings) < 2 else live(0))

    renamed = {f"seg{100 + n}.ts": data for n, data in enumerate(segments.values())}
    limits = IMPATIENT.model_copy(update={"stall_timeout": 20.0})
    async with static_origin({"live.m3u8": playlist, **renamed}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", limits)
    assert story.reason is EndReason.PLAYLIST_REGRESSED
    assert story.sequences == [100, 101, 102]


async def test_a_single_answer_from_the_past_is_ignored(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    readings = count()

    def playlist(_: Request) -> Response:
        number = next(readings)
        if number == 1:
            return Response(live(0))
        return Response(live(100) if number < 4 else live(101, 3) + "#EXT-X-ENDLIST\n")

    renamed = {f"seg{100 + n}.ts": data for n, data in enumerate(segments.values())}
    async with static_origin({"live.m3u8": playlist, **renamed}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == [100, 101, 102, 103]


async def test_a_stream_without_a_decodable_segment(ingest: IngestHarness, video: Path) -> None:
    corrupt = tuple(CorruptSegment(segment=n) for n in range(12))
    options = OriginOptions(pace=8.0, segment_duration=1.0, faults=Faults(corrupt=corrupt))
    async with LiveOrigin(video, options) as origin:
        story = await ingest.follow(origin.master_url, IMPATIENT)
    assert story.reason is EndReason.NO_MEDIA
    assert {gap.reason for gap in story.gaps} == {GapReason.CORRUPT}


async def test_segments_that_are_scripts_for_a_demuxer_open_nothing(
    ingest: IngestHarness,
) -> None:
    bait = {
        "seg0.ts": "#EXTM3U\n#EXTINF:1,\nSECRET\n#EXT-X-ENDLIST\n",
        "seg1.ts": "ffconcat version 1.0\nfile SECRET\n",
        "seg2.ts": "v=0\nm=audio 0 RTP/AVP 0\nc=IN IP4 127.0.0.1\n",
    }
    playlist = live(0) + "#EXT-X-ENDLIST\n"
    async with static_origin({"SECRET": "x", "live.m3u8": playlist}) as (base, hits):
        files = {n: text.replace("SECRET", f"{base}/SECRET") for n, text in bait.items()}
        async with static_origin({"live.m3u8": playlist, **files}) as (origin, _):
            story = await ingest.follow(f"{origin}/live.m3u8", IMPATIENT)
        assert hits.total() == 0
    assert story.reason is EndReason.NO_MEDIA


async def test_byte_ranges_are_fetched_as_such(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    joined = b"".join(segments.values())
    entries, offset = "", 0
    for number, data in enumerate(segments.values()):
        place = f"@{offset}" if number % 2 == 0 else ""  # an offset may be left out
        entries += f"#EXTINF:1.0,\n#EXT-X-BYTERANGE:{len(data)}{place}\nall.ts\n"
        offset += len(data)
    playlist = f"{EMPTY}{entries}#EXT-X-ENDLIST\n"
    async with static_origin({"live.m3u8": playlist, "all.ts": joined}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert [segment.size for segment in story.segments] == [len(d) for d in segments.values()]
    assert story.gaps == []


async def test_an_origin_without_byte_ranges_gives_gaps(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    playlist = f"{EMPTY}#EXTINF:1.0,\n#EXT-X-BYTERANGE:500@188\nall.ts\n#EXT-X-ENDLIST\n"

    def whole(_: Request) -> Response:
        return Response(segments["seg0.ts"])

    answers: dict[str, Answer | str] = {"live.m3u8": playlist, "all.ts": whole}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.reason is EndReason.NO_MEDIA
    assert "byte ranges" in story.gaps[0].detail


async def test_a_segment_url_into_the_private_network_is_a_gap(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    bait = "#EXTINF:1.0,\nhttp://169.254.169.254/latest/meta-data\n"
    playlist = f"{live(0, 2)}{bait}#EXT-X-ENDLIST\n"
    async with static_origin({"live.m3u8": playlist, **segments}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.sequences == [0, 1]
    assert [gap.reason for gap in story.gaps] == [GapReason.UNREACHABLE]


async def test_many_bad_streams_leave_the_worker_able_to_follow_a_good_one(
    ingest: IngestHarness, video: Path
) -> None:
    bad = {"html.m3u8": "<html>", "live.m3u8": live(0)}
    options = OriginOptions(pace=8.0, segment_duration=1.0)
    async with static_origin(bad) as (base, _), LiveOrigin(video, options) as origin:
        requests = [
            ingest.request(f"{base}/{name}").model_copy(update={"stream_id": uuid4()})
            for name in bad
        ]
        worst = [asyncio.create_task(ingest.window(request)) for request in requests]
        good = await ingest.follow(origin.master_url, IMPATIENT)
        ends = [(await task).end for task in worst]
    assert all(end is None or end.status is StreamStatus.FAILED for end in ends)
    assert good.sequences == list(range(12))
