"""Low-latency HLS: segments by their parts, requests that wait, and servers that break promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.origin import Faults, LiveOrigin, OriginOptions
from domain.streams.status import EndReason
from tests.integration.ingest.harness import QUICK, IngestHarness, PartsOrigin, Story, static_origin

pytestmark = pytest.mark.timeout(120)

ALL = list(range(12))


async def follow(
    ingest: IngestHarness, video: Path, **options: object
) -> tuple[Story, LiveOrigin, dict[int, bytes]]:
    """Follow a stream of 1 s segments in parts; return it with the bytes of its segments."""
    settings: dict[str, object] = {
        "pace": 4.0,
        "segment_duration": 1.0,
        "part_duration": 0.34,
        "keep_all": True,
        **options,
    }
    async with LiveOrigin(video, OriginOptions.model_validate(settings)) as origin:
        story = await ingest.follow(origin.master_url)
        variant = origin.channel.variants[0].name
        media = {
            each.index: origin.channel.segment(variant, each.index) for each in origin.segments
        }
    return story, origin, media


def whole_segments(origin: LiveOrigin) -> set[int]:
    """Segments that were requested by their own URL."""
    names = (path.rpartition("/")[2] for path in origin.hits)
    return {index for name in names if (index := origin.channel.index_of(name)) is not None}


async def test_the_parts_of_a_segment_are_its_bytes_and_spare_the_request_for_it(
    ingest: IngestHarness, video: Path
) -> None:
    story, origin, media = await follow(ingest, video)
    assert story.sequences == ALL
    assert story.gaps == []
    assert story.reason is EndReason.PLAYLIST_ENDED
    story.assert_timeline_whole()
    for segment in story.segments:
        path = await ingest.store.path(segment.key)
        assert path.read_bytes() == media[segment.media_sequence]
    joined = 3  # a busy machine may join late
    assert whole_segments(origin) <= set(ALL[:joined])
    assert max(n for path, n in origin.hits.items() if "part_" in path) == 1


async def test_parts_are_read_and_the_listing_is_asked_for_before_the_segment_is_complete(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    entries = "".join(f"#EXTINF:1,\n{name}\n" for name in segments)
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
    playlist = f"{head}{entries}#EXT-X-ENDLIST\n"
    origin = PartsOrigin({**segments, "live.m3u8": playlist}, "live.m3u8", read_first=True)
    async with static_origin(origin.answers) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8")
    assert story.sequences == list(range(6))
    assert story.gaps == []
    assert not {f"seg{n}.ts" for n in range(1, 6)} & set(hits)


@pytest.mark.parametrize(
    "faults", [Faults(missing_parts=((6, 1),)), Faults(gap_parts=((6, 1),))], ids=["404", "gap"]
)
async def test_a_segment_with_a_part_that_is_not_there_is_requested_as_a_whole(
    ingest: IngestHarness, video: Path, faults: Faults
) -> None:
    story, origin, media = await follow(ingest, video, faults=faults)
    assert story.sequences == ALL
    assert story.gaps == []
    assert 6 in whole_segments(origin)
    (damaged,) = [each for each in story.segments if each.media_sequence == 6]
    assert (await ingest.store.path(damaged.key)).read_bytes() == media[6]


@pytest.mark.parametrize("blocking", ["ignored", "400", "503", "hangs"])
async def test_a_server_that_does_not_hold_requests_back_is_polled_with_todays_manners(
    ingest: IngestHarness, video: Path, blocking: str
) -> None:
    story, origin, _ = await follow(
        ingest, video, window=12, pace=3.0, faults={"blocking": blocking}
    )
    assert story.sequences == ALL
    assert story.gaps == []
    assert story.reason is EndReason.PLAYLIST_ENDED
    (requests,) = [n for path, n in origin.hits.items() if path.endswith("index.m3u8")]
    assert requests < 6 * len(ALL)


async def test_a_long_window_is_reloaded_by_delta_updates_and_loses_nothing(
    ingest: IngestHarness, video: Path
) -> None:
    story, origin, _ = await follow(ingest, video, window=12, faults=Faults(discontinuities=(4,)))
    assert story.sequences == ALL
    assert story.gaps == []
    assert origin.channel.delta_updates > 0
    assert [s.discontinuity_sequence for s in story.segments] == [0] * 4 + [1] * 8
    story.assert_timeline_whole()


async def test_another_worker_goes_on_with_the_parts(ingest: IngestHarness, video: Path) -> None:
    settings = OriginOptions(pace=4.0, segment_duration=1.0, part_duration=0.34)
    async with LiveOrigin(video, settings) as origin:
        request = ingest.request(origin.master_url, QUICK)
        results = [await ingest.window(request)]
        while results[-1].end is None:
            request = request.model_copy(update={"cursor": results[-1].cursor})
            results.append(await ingest.window(request, worker=ingest.worker()))
    taken = [each.media_sequence for r in results if r.window for each in r.window.segments]
    assert taken == ALL
