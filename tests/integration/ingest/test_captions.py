"""A stream's captions beside its media: on its timeline, with its guards, and never in its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import Response

from activities.ingest.renditions import CaptionFollower
from demo.origin import Faults, LiveOrigin, Mark, OriginOptions
from demo.origin.captions import Caption
from domain.highlights.commentary import Cue
from domain.media.segments import Line
from infra.db.engine import Database
from infra.media.hls_client import HlsClient
from infra.media.pool import MediaPool
from infra.profiles.store import ProfileStore
from infra.ssrf import UrlGuard
from tests.factories.rows import new_stream
from tests.integration.ingest.harness import QUICK, Answer, IngestHarness, Story, static_origin
from tests.integration.ingest.test_marked_moments import analyze, select

pytestmark = pytest.mark.timeout(60)

SAID = (
    Caption(start=1.5, end=3.5, text="He shoots"),
    Caption(start=5.0, end=6.0, text="Penalty & a save"),
)
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
SEGMENT = "WEBVTT\n\n00:00:0{n}.000 --> 00:00:0{n}.500\nnumber {n}\n"


def lines(story: Story) -> list[Line]:
    said = [line for result in story.results if result.window for line in result.window.commentary]
    return sorted({(line.at, line.text): line for line in said}.values(), key=lambda line: line.at)


def playing(**options: object) -> OriginOptions:
    given = {"pace": 3.0, "segment_duration": 1.0, "captions": SAID} | options
    return OriginOptions.model_validate(given)


@pytest.mark.parametrize(
    "options",
    [{}, {"faults": Faults(pts_wrap_in=2)}, {"part_duration": 0.34}],
    ids=["plain", "clock wraps", "low latency"],
)
async def test_captions_come_on_the_media_timeline_as_plain_text(
    ingest: IngestHarness, video: Path, options: Mapping[str, object]
) -> None:
    async with LiveOrigin(video, playing(**options)) as origin:
        story = await ingest.follow(origin.master_url)
    found = lines(story)
    assert [line.text for line in found] == ["He shoots", "Penalty & a save"]
    assert [line.at for line in found] == pytest.approx([1.5, 5.0], abs=0.1)
    assert [line.until for line in found] == pytest.approx([3.5, 6.0], abs=0.1)
    story.assert_timeline_whole()


async def test_captions_are_left_alone_where_the_stream_says_so(
    ingest: IngestHarness, video: Path
) -> None:
    limits = QUICK.model_copy(update={"captions": False})
    async with LiveOrigin(video, playing()) as origin:
        story = await ingest.follow(origin.master_url, limits)
        assert not any(path.startswith("captions/") for path in origin.hits)
    assert lines(story) == []


async def test_a_stream_without_captions_has_no_commentary(
    ingest: IngestHarness, video: Path
) -> None:
    async with LiveOrigin(video, playing(captions=())) as origin:
        story = await ingest.follow(origin.master_url)
    assert lines(story) == []
    story.assert_timeline_whole()


async def test_what_is_said_over_a_moment_gives_it_tags_and_a_reason(
    ingest: IngestHarness, video: Path, media_pool: MediaPool, database: Database, tenant: UUID
) -> None:
    ingest.tenant_id, ingest.stream_id = tenant, await new_stream(database, tenant, game="soccer")
    mark = Mark(at=5.0, payload=json.dumps({"highlight": {"label": "goal", "importance": 0.9}}))
    async with LiveOrigin(video, playing(marks=(mark,))) as origin:
        story = await ingest.follow(origin.master_url)
    found = await analyze(ingest, story, media_pool)
    (highlight,) = await select(database, ingest, found, ProfileStore().catalog.get("soccer"))
    assert highlight.commentary == "He shoots Penalty & a save"
    assert {"goal", "save"} <= set(highlight.tags)
    assert any("the commentary says" in each["words"] for each in highlight.evidence)
    assert highlight.title == ""  # no stranger's words


async def taken(captions: CaptionFollower, *, until: Callable[[list[Cue]], bool]) -> list[str]:
    """Take cues until there are enough."""
    cues: list[Cue] = []
    async with asyncio.timeout(30):
        while not until(cues):
            cues += captions.take()
            await asyncio.sleep(0.01)
    return [cue.text for cue in cues]


async def test_what_cannot_be_read_is_passed_over_and_asked_for_once() -> None:
    names = ("a.vtt", "gone.vtt", "b.vtt", "c.vtt")
    playlist = PLAYLIST.format(first=3) + "".join(f"#EXTINF:2,\n{name}\n" for name in names)
    answers = {
        "captions.m3u8": playlist,
        "a.vtt": "<html>no captions",
        "b.vtt": "x" * (1 << 17),
        "c.vtt": SEGMENT.format(n=3),
    }
    async with (
        HlsClient(UrlGuard(allow_private=True)) as client,
        static_origin(answers) as (base, hits),
    ):
        captions = CaptionFollower(
            client.session(0), url=f"{base}/captions.m3u8", limits=QUICK, interval=0.01
        )
        assert await taken(captions, until=bool) == ["number 3"]
        await captions.close()
        assert [hits[name] for name in names] == [1, 1, 1, 1]


async def test_a_bad_segment_costs_itself_alone() -> None:
    bad: dict[int, str | Answer] = {
        1: "",
        2: "<html>no captions",
        3: "x" * (1 << 17),
        4: lambda _: Response(status_code=404),
        5: lambda _: Response(status_code=500),
    }
    answers: dict[str, str | Answer | bytes] = {
        f"{n}.vtt": bad.get(n % 6, SEGMENT.format(n=n % 10)) for n in range(12)
    }

    def playlist(_: Request) -> Response:
        listed = min(12, 2 * next(readings))
        entries = "".join(f"#EXTINF:2,\n{n}.vtt\n" for n in range(listed))
        return Response(PLAYLIST.format(first=0) + entries)

    readings = count(1)
    answers["captions.m3u8"] = playlist
    async with (
        HlsClient(UrlGuard(allow_private=True)) as client,
        static_origin(answers) as (base, hits),
    ):
        captions = CaptionFollower(
            client.session(0), url=f"{base}/captions.m3u8", limits=QUICK, interval=0.05
        )
        assert await taken(captions, until=lambda cues: len(cues) >= 2) == ["number 0", "number 6"]
        await captions.close()
        assert hits["11.vtt"] <= 1


async def test_a_stream_joined_late_gets_the_latest_captions_only() -> None:
    playlist = PLAYLIST.format(first=0) + "".join(f"#EXTINF:2,\n{n}.vtt\n" for n in range(9))
    answers = {f"{n}.vtt": SEGMENT.format(n=n) for n in range(9)}
    answers["captions.m3u8"] = f"{playlist}#EXT-X-ENDLIST\n"
    async with (
        HlsClient(UrlGuard(allow_private=True)) as client,
        static_origin(answers) as (base, _),
    ):
        captions = CaptionFollower(
            client.session(0), url=f"{base}/captions.m3u8", limits=QUICK, interval=0.01
        )
        found = await taken(captions, until=lambda cues: len(cues) >= 6)
        await captions.close()
    assert found == [f"number {n}" for n in range(3, 9)]


async def test_an_address_that_is_forbidden_is_not_asked() -> None:
    async with (
        HlsClient(UrlGuard()) as client,
        static_origin({"captions.m3u8": ""}) as (base, hits),
    ):
        captions = CaptionFollower(
            client.session(0), url=f"{base}/captions.m3u8", limits=QUICK, interval=0.01
        )
        await asyncio.sleep(0.1)
        await captions.close()
        assert hits.total() == 0
