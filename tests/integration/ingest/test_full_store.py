"""A store that is full: said within seconds, relieved without progress, and to blame for gaps."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path

import pytest

from demo.origin import LiveOrigin, OriginOptions
from domain.ingest.messages import FetchWindowInput, FetchWindowResult
from domain.media.segments import GapReason
from domain.streams.status import EndReason, ProblemCode
from infra.storage.s3 import S3UnreachableError
from infra.storage.segments import LocalSegmentStore
from tests.integration.ingest.harness import IMPATIENT, QUICK, IngestHarness, static_origin

pytestmark = pytest.mark.timeout(90)
READ_ONLY = OSError(errno.EROFS, os.strerror(errno.EROFS))
AWAY = S3UnreachableError("S3 cannot be reached for s3://media.", "Check the network.")


class LimitedStore(LocalSegmentStore):
    """A directory on a volume that holds so many bytes of media."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.capacity = 1 << 30
        self.broken: OSError | None = None

    async def scratch(self) -> Path:
        self._check()
        return await super().scratch()

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken
        used = sum(path.stat().st_size for path in self.root.rglob("*/media/*/*"))
        if used >= self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def limited(ingest: IngestHarness, tmp_path: Path) -> LimitedStore:
    """The store of the ingest under test."""
    store = LimitedStore(tmp_path / "limited")
    ingest.store = store
    ingest.activities = ingest.worker(report_after=0.2)
    return store


async def next_of(
    ingest: IngestHarness, request: FetchWindowInput, result: FetchWindowResult
) -> tuple[FetchWindowInput, FetchWindowResult]:
    """The next call, as the workflow makes it."""
    following = request.model_copy(update={"cursor": result.cursor, "problem": result.problem})
    return following, await ingest.window(following)


async def until(
    ingest: IngestHarness, request: FetchWindowInput, code: ProblemCode | None
) -> list[FetchWindowResult]:
    """Fetch window after window until the problem is the one given."""
    results = [await ingest.window(request)]
    while (results[-1].problem.code if results[-1].problem else None) is not code:
        assert results[-1].end is None, results[-1]
        request, result = await next_of(ingest, request, results[-1])
        results.append(result)
    return results


async def test_a_full_store_is_reported_and_so_is_its_recovery(
    ingest: IngestHarness, limited: LimitedStore, video: Path
) -> None:
    limited.capacity = 0
    options = OriginOptions(pace=2.0, segment_duration=1.0, window=5)
    async with LiveOrigin(video, options) as origin:
        request = ingest.request(origin.master_url)
        full = (await until(ingest, request, ProblemCode.STORE_FULL))[-1]
        assert full.problem is not None
        assert "store is full" in full.problem.message
        request = request.model_copy(update={"cursor": full.cursor, "problem": full.problem})
        filling = asyncio.create_task(until(ingest, request, None))
        await asyncio.sleep(3.5)  # longer than the playlist: some segments leave it
        limited.capacity = 1 << 30
        results = await filling
    gaps = [gap for each in results if each.window for gap in each.window.gaps]
    segments = [each for result in results if result.window for each in result.window.segments]
    assert GapReason.NOT_STORED in {gap.reason for gap in gaps}
    assert "store" in next(gap.detail for gap in gaps if gap.reason is GapReason.NOT_STORED)
    assert segments


async def test_a_full_store_makes_room_by_itself(
    ingest: IngestHarness, limited: LimitedStore, video: Path
) -> None:
    left_behind = [f"other/stream/media/720p/00000-{number:010d}.ts" for number in range(8)]
    long_ago = time.time() - 7200
    for key in left_behind:
        await limited.put(key, bytes(1 << 20))
        os.utime(limited.root / key, (long_ago, long_ago))
    limited.capacity = 8 << 20
    options = OriginOptions(pace=8.0, segment_duration=1.0)
    async with LiveOrigin(video, options) as origin:
        story = await ingest.follow(origin.master_url)
    assert story.sequences == list(range(12))
    assert story.gaps == []
    left = await limited.list("other/")
    assert list(left) == left_behind[-len(left) :]
    assert len(left) < len(left_behind)


async def test_a_store_that_cannot_be_written_is_told_from_a_full_one(
    ingest: IngestHarness, limited: LimitedStore, video: Path
) -> None:
    limited.broken = READ_ONLY
    async with LiveOrigin(video, OriginOptions(pace=8.0, segment_duration=1.0)) as origin:
        result = (
            await until(ingest, ingest.request(origin.master_url), ProblemCode.STORE_UNAVAILABLE)
        )[-1]
    assert result.problem is not None
    assert "cannot be written" in result.problem.message
    assert "Errno" not in result.problem.message


@pytest.mark.parametrize("broken", [READ_ONLY, AWAY], ids=["disk", "s3"])
async def test_a_store_that_takes_nothing_is_waited_for_and_not_taken_for_bad_media(
    ingest: IngestHarness, limited: LimitedStore, video: Path, broken: OSError
) -> None:
    limited.broken = broken
    options = OriginOptions(pace=2.0, segment_duration=1.0, window=3)
    async with LiveOrigin(video, options) as origin:
        following = asyncio.create_task(ingest.follow(origin.master_url, IMPATIENT))
        await asyncio.sleep(4.5)  # more than twice as long as a stream may give nothing
        limited.broken = None
        story = await following
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.segments
    assert {gap.reason for gap in story.gaps} == {GapReason.NOT_STORED}


async def test_a_stream_of_which_nothing_could_be_stored_ends_as_a_fault_of_ours(
    ingest: IngestHarness, segments: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        message = "an internal detail"
        raise OSError(message)

    monkeypatch.setattr(LocalSegmentStore, "adopt", broken)
    monkeypatch.setattr("activities.ingest.window_fetch._STORE_PATIENCE", 0.1)
    reading = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nseg0.ts\n"
    async with static_origin({**segments, "live.m3u8": reading}) as (base, _):
        request = ingest.request(f"{base}/live.m3u8", IMPATIENT)
        result = await ingest.window(request)
        while result.end is None:
            request, result = await next_of(ingest, request, result)
    assert result.end.reason is EndReason.INTERNAL
    assert "Our media store took none of its segments" in result.end.message
    assert "detail" not in result.end.message


async def test_an_origin_that_does_not_answer_is_reported_while_waiting(
    ingest: IngestHarness, limited: LimitedStore
) -> None:
    del limited
    patient = IMPATIENT.model_copy(update={"start_timeout": 60.0})
    async with static_origin({}) as (base, _):
        request = ingest.request(f"{base}/master.m3u8", patient)
        result = (await until(ingest, request, ProblemCode.SOURCE_UNAVAILABLE))[-1]
    assert result.problem is not None
    assert "404" in result.problem.message
    assert result.end is None


async def test_an_unexpected_error_is_reported_after_some_attempts(
    ingest: IngestHarness, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        message = "secret detail"
        raise RuntimeError(message)

    monkeypatch.setattr("activities.ingest.fetcher.SegmentFetcher.fetch", broken)
    async with LiveOrigin(video, OriginOptions(pace=8.0, segment_duration=1.0)) as origin:
        request = ingest.request(origin.master_url, QUICK)
        with pytest.raises(RuntimeError):
            await ingest.window(request, environment=ingest.attempt(1))
        result = await ingest.window(request, environment=ingest.attempt(3))
        assert result.problem is not None
        known = request.model_copy(update={"problem": result.problem})
        with pytest.raises(RuntimeError):
            await ingest.window(known, environment=ingest.attempt(3))
    assert result.problem.code is ProblemCode.INGEST_FAILING
    assert "secret" not in result.problem.message
