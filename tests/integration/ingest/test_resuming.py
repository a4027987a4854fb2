"""A worker may stop, be cancelled or be killed at any moment: nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from functools import partial
from pathlib import Path

import psutil
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from demo.origin import LiveOrigin, OriginOptions
from domain.ingest.messages import FetchWindowInput
from tests.integration.ingest.harness import QUICK, IngestHarness, heartbeats, work_in_process

pytestmark = pytest.mark.timeout(90)

LONG = QUICK.model_copy(update={"window_duration": 10.0})


def segment_hits(origin: LiveOrigin) -> Counter[str]:
    return Counter({path: n for path, n in origin.hits.items() if path.endswith(".ts")})


async def until_stored(ingest: IngestHarness, count: int) -> None:
    while await ingest.recorded() < count:  # noqa: ASYNC110 a store has no events
        await asyncio.sleep(0.02)


def retry_of(heartbeat: object) -> ActivityEnvironment:
    """The next attempt, which finds the last heartbeat as Temporal hands it over: as JSON."""
    environment = ActivityEnvironment()
    details = heartbeat.model_dump(mode="json")  # type: ignore[attr-defined]  # a model
    environment.info = environment.default_info()
    environment.info = type(environment.info)(
        **{**environment.info.__dict__, "heartbeat_details": [details], "attempt": 2}
    )
    return environment


async def test_a_retry_goes_on_from_the_last_heartbeat(ingest: IngestHarness, video: Path) -> None:
    options = OriginOptions(pace=8.0, segment_duration=1.0)
    async with LiveOrigin(video, options) as origin:
        request = ingest.request(origin.master_url, LONG)
        first = ActivityEnvironment()
        beats = heartbeats(first)
        attempt = asyncio.create_task(ingest.window(request, environment=first))
        while not any(beat.segments for beat in beats):  # noqa: ASYNC110 collected by a callback
            await asyncio.sleep(0.01)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        last = next(beat for beat in reversed(beats) if beat.segments)
        result = await ingest.window(request, environment=retry_of(last), worker=ingest.worker())
        assert result.window is not None
        assert result.window.segments[: len(last.segments)] == last.segments
        assert [s.media_sequence for s in result.window.segments] == list(range(10))
        assert segment_hits(origin)[f"90p/segment_{0:05d}.ts"] == 1


async def test_a_retry_without_a_heartbeat_finds_what_is_stored(
    ingest: IngestHarness, video: Path
) -> None:
    options = OriginOptions(pace=8.0, segment_duration=1.0, window=5)
    async with LiveOrigin(video, options) as origin:
        request = ingest.request(origin.master_url, LONG)
        attempt = asyncio.create_task(ingest.window(request))
        await until_stored(ingest, 4)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        recorded = await ingest.recorded()
        await origin.wait_published(6)  # the first ones have left the playlist
        result = await ingest.window(request, worker=ingest.worker())
        hits = segment_hits(origin)
    assert result.window is not None
    assert result.window.gaps == ()
    assert [s.media_sequence for s in result.window.segments] == list(range(10))
    assert [round(s.start, 2) for s in result.window.segments] == [float(n) for n in range(10)]
    assert all(hits[f"90p/segment_{n:05d}.ts"] == 1 for n in range(recorded))


async def test_cancelling_before_the_first_segment_ends_promptly_with_nothing(
    ingest: IngestHarness, video: Path
) -> None:
    async with LiveOrigin(video, OriginOptions(autostart=False)) as origin:
        environment = ActivityEnvironment()
        attempt = asyncio.create_task(
            ingest.window(ingest.request(origin.master_url, LONG), environment=environment)
        )
        await origin.wait_requested()
        environment.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(attempt, 30)


async def test_cancelling_keeps_what_was_fetched_and_leaves_no_half_files(
    ingest: IngestHarness, video: Path
) -> None:
    async with LiveOrigin(video, OriginOptions(pace=8.0, segment_duration=1.0)) as origin:
        environment = ActivityEnvironment()
        attempt = asyncio.create_task(
            ingest.window(ingest.request(origin.master_url, LONG), environment=environment)
        )
        await until_stored(ingest, 2)  # so that the first is part of the window by now
        environment.cancel()
        result = await asyncio.wait_for(attempt, 30)
        assert result.window is not None
        assert result.window.segments[0].media_sequence == 0
        assert ingest.scratch_files() == []
        asked = origin.hits.total()
        await origin.wait_published(origin.published + 2)
        assert origin.hits.total() == asked


async def test_a_worker_that_shuts_down_hands_over_what_it_has(
    ingest: IngestHarness, video: Path
) -> None:
    async with LiveOrigin(video, OriginOptions(pace=8.0, segment_duration=1.0)) as origin:
        environment = ActivityEnvironment()
        request = ingest.request(origin.master_url, LONG)
        attempt = asyncio.create_task(ingest.window(request, environment=environment))
        await until_stored(ingest, 2)
        environment.worker_shutdown()
        result = await asyncio.wait_for(attempt, 30)
        assert result.window is not None
        assert result.end is None
        request = request.model_copy(update={"cursor": result.cursor})
        following = await ingest.window(request, worker=ingest.worker())
    assert following.window is not None
    sequences = [
        segment.media_sequence
        for window in (result.window, following.window)
        for segment in window.segments
    ]
    assert sequences == list(range(len(sequences)))
    assert following.window.start == result.window.end


async def test_a_worker_that_shuts_down_with_nothing_asks_for_a_retry(
    ingest: IngestHarness, video: Path
) -> None:
    options = OriginOptions(segment_duration=1.0, autostart=False)
    async with LiveOrigin(video, options) as origin:
        environment = ActivityEnvironment()
        attempt = asyncio.create_task(
            ingest.window(ingest.request(origin.master_url, LONG), environment=environment)
        )
        await origin.wait_requested()
        environment.worker_shutdown()
        with pytest.raises(ApplicationError) as raised:
            await asyncio.wait_for(attempt, 30)
    assert raised.value.type == "worker_shutdown"
    assert not raised.value.non_retryable


async def fetch_until_killed(request: FetchWindowInput, harness: IngestHarness) -> None:
    await harness.window(request)


async def test_killing_the_worker_loses_nothing_and_leaves_no_process(
    ingest: IngestHarness, video: Path, tmp_path: Path
) -> None:
    options = OriginOptions(pace=4.0, segment_duration=1.0, window=12, autostart=False)
    async with LiveOrigin(video, options) as origin:
        request = ingest.request(origin.master_url, LONG)
        context = multiprocessing.get_context("spawn")
        root = str(tmp_path / "segments")
        worker = context.Process(
            target=work_in_process, args=(root, partial(fetch_until_killed, request))
        )
        worker.start()
        await origin.wait_requested()
        origin.begin()
        await until_stored(ingest, 3)
        assert worker.pid is not None
        children = psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
        await asyncio.to_thread(worker.join)
        recorded = await ingest.recorded()
        result = await ingest.window(request)
        hits = segment_hits(origin)
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, 10)
    await ingest.store.sweep(older_than=0)
    assert alive == []
    assert result.window is not None
    assert result.window.gaps == ()
    assert [s.media_sequence for s in result.window.segments] == list(range(10))
    assert all(hits[f"90p/segment_{n:05d}.ts"] == 1 for n in range(recorded))


async def test_a_follower_that_nobody_comes_back_for_stops(
    ingest: IngestHarness, video: Path
) -> None:
    limits = QUICK.model_copy(update={"window_duration": 1.0})
    worker = ingest.worker(linger=0.05)
    async with LiveOrigin(video, OriginOptions(pace=4.0, segment_duration=1.0)) as origin:
        await ingest.window(ingest.request(origin.master_url, limits), worker=worker)
        asked = -1
        while origin.hits.total() != asked:
            asked = origin.hits.total()
            await origin.wait_published(origin.published + 2)
        assert not origin.finished.is_set()
