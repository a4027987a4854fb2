"""A segment that crashes the decoder each time is a gap, and disturbs nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from domain.media.segments import GapReason
from domain.streams.status import EndReason
from infra.media.hls_client import HlsClient
from infra.ssrf import UrlGuard
from infra.storage.segments import LocalSegmentStore
from tests.fakes.crashing_media_pool import CRASHING, CrashingMediaPool
from tests.integration.ingest.harness import QUICK, IngestHarness, static_origin

ATTEMPTS = 2
"""Downloads of a segment that cannot be decoded: the first one may have been damaged on its way."""


@pytest.fixture
async def pool() -> AsyncIterator[CrashingMediaPool]:
    async with CrashingMediaPool(processes=2) as pool:
        yield pool


@pytest.fixture
async def ingest(tmp_path: Path, pool: CrashingMediaPool) -> AsyncIterator[IngestHarness]:
    """The ingest activities of a worker with that pool."""
    async with HlsClient(UrlGuard(allow_private=True)) as client:
        harness = IngestHarness(LocalSegmentStore(tmp_path), tmp_path, client, pool)
        yield harness
        await harness.close()
        assert harness.scratch_files() == []


def playlist(names: list[str]) -> str:
    entries = "".join(f"#EXTINF:1.0,\n{name}\n" for name in names)
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n{entries}#EXT-X-ENDLIST\n"


async def test_the_segment_is_a_gap_that_says_why_and_the_stream_goes_on(
    ingest: IngestHarness, pool: CrashingMediaPool, segments: dict[str, bytes]
) -> None:
    files = {**segments, "seg2.ts": segments["seg2.ts"] + CRASHING}
    async with static_origin({"live.m3u8": playlist(list(segments)), **files}) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8", QUICK)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == [0, 1, 3, 4, 5]
    [gap] = story.gaps
    assert (gap.first_sequence, gap.reason) == (2, GapReason.CORRUPT)
    assert "the media process died" in gap.detail
    story.assert_timeline_whole()
    assert pool.crashes == hits["seg2.ts"] == ATTEMPTS


async def test_another_stream_of_the_worker_misses_nothing(
    ingest: IngestHarness, pool: CrashingMediaPool, segments: dict[str, bytes]
) -> None:
    """Every segment of one stream crashes a child while the other stream is ingested."""
    names = list(segments)
    files = {f"bad-{name}": data + CRASHING for name, data in segments.items()}
    lists = {"bad.m3u8": playlist(list(files)), "good.m3u8": playlist(names)}
    async with static_origin({**lists, **files, **segments}) as (base, _):
        bad_request = ingest.request(f"{base}/bad.m3u8").model_copy(update={"stream_id": uuid4()})
        bad = asyncio.create_task(ingest.window(bad_request))
        good = await ingest.follow(f"{base}/good.m3u8", QUICK)
        end = (await bad).end
    assert end is not None
    assert end.reason is EndReason.NO_MEDIA
    assert pool.crashes == ATTEMPTS * len(names)
    assert good.reason is EndReason.PLAYLIST_ENDED
    assert (good.sequences, good.gaps) == (list(range(len(names))), [])
