"""`follow_stream`: fetching and analysis side by side, and what makes it return."""

from __future__ import annotations

import asyncio
import dataclasses
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from demo.origin import LiveOrigin, OriginOptions
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.ingest.messages import IngestLimits
from domain.streams.messages import FollowInput, FollowProgress, FollowResult
from domain.streams.status import EndReason
from tests.fakes.scripted_stream import candidate
from tests.integration.ingest.harness import QUICK, IngestHarness, static_origin, work_in_process

pytestmark = pytest.mark.timeout(90)

LIMITS = QUICK.model_copy(update={"window_duration": 2.0})
FAST = OriginOptions(pace=8.0, segment_duration=1.0)


class ScriptedAnalyzer:
    """Finds a moment in some windows; `before` is awaited before each analysis."""

    def __init__(self, *, moments: tuple[int, ...] = ()) -> None:
        self.moments = moments
        self.calls: list[list[int]] = []
        self.called = asyncio.Event()
        self.before: Callable[[], Any] | None = None

    async def run(
        self,
        request: AnalyzeWindowInput,
        *,
        seconds: float | None = None,
    ) -> AnalyzeWindowResult:
        assert seconds
        self.calls.append([window.index for window in request.windows])
        self.called.set()
        if self.before is not None:
            await self.before()
        found = [window for window in request.windows if window.index in self.moments]
        return AnalyzeWindowResult(
            candidates=tuple(candidate(request, window.start + 0.5) for window in found),
            watermark=request.windows[-1].end,
        )


def request_of(
    ingest: IngestHarness, url: str, limits: IngestLimits = LIMITS, **changes: object
) -> FollowInput:
    request = FollowInput(
        fetch=ingest.request(url, limits),
        profile_id="soccer",
        profile_version="1",
        duration=60.0,
        analysis_timeout=60.0,
    )
    return request.model_copy(update=changes)


@asynccontextmanager
async def listed(segments: dict[str, bytes], *, ended: bool = False) -> AsyncIterator[str]:
    """A playlist of six segments of one second, to which none is added; yields its URL."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    for name in segments:
        lines += ["#EXTINF:1.0,", name]
    lines += ["#EXT-X-ENDLIST"] if ended else []
    async with static_origin({"live.m3u8": "\n".join(lines) + "\n", **segments}) as (url, _):
        yield f"{url}/live.m3u8"


def following(request: FollowInput, result: FollowResult) -> FollowInput:
    """The next request, as the workflow makes it."""
    done = sum(each.count for each in result.analyses)
    waiting = [*request.backlog, *result.windows]
    return request.model_copy(
        update={
            "fetch": request.fetch.model_copy(update={"cursor": result.cursor}),
            "backlog": tuple(waiting[done:]),
            "previous_window": waiting[done - 1].index if done else request.previous_window,
        }
    )


class Beats:
    """The heartbeats of an environment; an event tells that there is one more."""

    def __init__(self, environment: ActivityEnvironment) -> None:
        self.all: list[FollowProgress] = []
        environment.on_heartbeat = lambda *details: self.all.append(details[0])

    async def until(self, reached: Callable[[FollowProgress], bool]) -> FollowProgress:
        async with asyncio.timeout(60):
            while not (self.all and reached(self.all[-1])):  # noqa: ASYNC110 by a callback
                await asyncio.sleep(0.01)
        return self.all[-1]


def environment(
    *, heartbeat_timeout: float = 0.1, heartbeat: FollowProgress | None = None
) -> ActivityEnvironment:
    """An attempt; with the last heartbeat of the one before, as Temporal hands it over."""
    made = ActivityEnvironment()
    details = [] if heartbeat is None else [heartbeat.model_dump(mode="json")]
    made.info = dataclasses.replace(
        made.info,
        heartbeat_timeout=timedelta(seconds=heartbeat_timeout),
        heartbeat_details=details,
        attempt=2 if details else 1,
    )
    return made


def numbers(*results: FollowResult) -> list[int]:
    """The media sequences of all fetched segments."""
    return [
        segment.media_sequence
        for result in results
        for window in result.windows
        for segment in window.segments
    ]


def segment_hits(origin: LiveOrigin) -> Counter[str]:
    return Counter({path: n for path, n in origin.hits.items() if path.endswith(".ts")})


async def test_it_returns_at_once_when_a_moment_settles(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    follow = ingest.follower(ScriptedAnalyzer(moments=(1,)))
    async with listed(segments) as url:
        result = await environment().run(follow.follow_stream, request_of(ingest, url))
    assert [c.peak for each in result.analyses for c in each.result.candidates] == [2.5]
    assert result.end is None


async def test_it_returns_when_selection_can_decide(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    follow = ingest.follower(ScriptedAnalyzer())
    async with listed(segments) as url:
        request = request_of(ingest, url, decide_at=4.0)
        result = await environment().run(follow.follow_stream, request)
    assert result.analyses[-1].result.watermark >= 4.0


async def test_it_returns_once_the_media_is_stored_that_a_clip_waits_for(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    follow = ingest.follower(ScriptedAnalyzer())
    async with listed(segments) as url:
        request = request_of(ingest, url, return_at=4.5)
        result = await environment().run(follow.follow_stream, request)
    assert result.cursor.position == pytest.approx(5.0, abs=0.1)
    assert result.windows[-1].end == pytest.approx(5.0, abs=0.1)  # a shorter window


async def test_it_returns_after_the_window_that_makes_a_stream_live(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    follow = ingest.follower(ScriptedAnalyzer())
    async with listed(segments) as url:
        request = request_of(ingest, url, after_window=True)
        result = await environment().run(follow.follow_stream, request)
    assert len(result.windows) == 1


async def test_it_returns_when_its_time_is_over_and_the_next_goes_on(
    ingest: IngestHarness, video: Path
) -> None:
    analyzer = ScriptedAnalyzer()
    follow = ingest.follower(analyzer)
    async with LiveOrigin(video, FAST) as origin:
        request = request_of(ingest, origin.master_url, duration=0.3)
        results = [await environment().run(follow.follow_stream, request)]
        while results[-1].end is None:
            request = following(request, results[-1])
            results.append(await environment().run(follow.follow_stream, request))
        hits = segment_hits(origin)
    assert len(results) > 2
    assert results[-1].end.reason is EndReason.PLAYLIST_ENDED
    assert numbers(*results) == list(range(12))
    assert set(hits.values()) == {1}
    windows = [window.index for result in results for window in result.windows]
    assert windows == list(range(len(windows)))
    assert [index for call in analyzer.calls for index in call][: len(windows)] == windows


async def test_a_slow_analysis_does_not_delay_fetching_and_is_taken_over(
    ingest: IngestHarness, video: Path
) -> None:
    analyzer, done = ScriptedAnalyzer(), asyncio.Event()
    analyzer.before = done.wait
    follow = ingest.follower(analyzer)
    async with LiveOrigin(video, FAST) as origin:
        request = request_of(ingest, origin.master_url, return_at=7.5)
        first = await environment().run(follow.follow_stream, request)
        assert first.analyses == ()
        assert first.cursor.position >= 7.5
        done.set()
        request = following(request, first).model_copy(update={"return_at": None})
        second = await environment().run(follow.follow_stream, request)
    assert analyzer.calls[0] == [0]
    assert analyzer.calls.count([0]) == 1
    assert second.analyses[0].count == 1
    assert numbers(first, second) == list(range(12))


async def test_what_is_analyzed_at_the_end_of_the_media_is_finished(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    analyzer, done = ScriptedAnalyzer(), asyncio.Event()
    analyzer.before = done.wait
    follow = ingest.follower(analyzer)
    async with listed(segments, ended=True) as url:
        going = environment()
        beats = Beats(going)
        attempt = asyncio.create_task(going.run(follow.follow_stream, request_of(ingest, url)))
        await beats.until(lambda beat: len(beat.windows) == 3)
        assert not attempt.done()
        done.set()
        result = await attempt
    assert result.end is not None
    assert numbers(result) == list(range(6))
    assert result.analyses[0].count == 1


async def test_a_failed_analysis_neither_loses_media_nor_fetches_again(
    ingest: IngestHarness, video: Path
) -> None:
    async def fail() -> None:
        raise OSError("the analyzer is broken")

    analyzer = ScriptedAnalyzer()
    analyzer.before = fail
    follow = ingest.follower(analyzer)
    async with LiveOrigin(video, FAST) as origin:
        request = request_of(ingest, origin.master_url)
        first = await environment().run(follow.follow_stream, request)
        request = following(request, first).model_copy(update={"analyze": False, "backlog": ()})
        second = await environment().run(follow.follow_stream, request)
        hits = segment_hits(origin)
    assert first.analysis_failed
    assert first.analyses == ()
    assert first.windows
    assert not second.analysis_failed
    assert numbers(first, second) == list(range(12))
    assert set(hits.values()) == {1}


async def test_a_retry_goes_on_from_the_last_heartbeat(ingest: IngestHarness, video: Path) -> None:
    analyzer = ScriptedAnalyzer()
    async with LiveOrigin(video, FAST) as origin:
        request = request_of(ingest, origin.master_url)
        first = environment()
        beats = Beats(first)
        attempt = asyncio.create_task(first.run(ingest.follower(analyzer).follow_stream, request))
        last = await beats.until(lambda beat: len(beat.windows) >= 2 and bool(beat.analyses))
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        analyzed = sum(each.count for each in last.analyses)
        other = ScriptedAnalyzer()
        retry = ingest.follower(other, ingest.worker())
        result = await environment(heartbeat=last).run(retry.follow_stream, request)
        hits = segment_hits(origin)
    assert result.windows[: len(last.windows)] == last.windows
    assert result.analyses[: len(last.analyses)] == last.analyses
    assert other.calls[0][0] == analyzed
    assert numbers(result) == list(range(12))
    assert all(
        hits[f"90p/segment_{n:05d}.ts"] == 1 for n in numbers(result)[: 2 * len(last.windows)]
    )


async def test_heartbeats_are_as_rare_as_their_timeout_allows(
    ingest: IngestHarness, video: Path
) -> None:
    slow, quick = environment(heartbeat_timeout=120.0), environment(heartbeat_timeout=0.4)
    rare, often = Beats(slow), Beats(quick)
    analyzer = ScriptedAnalyzer()
    async with LiveOrigin(video, FAST) as origin:
        request = request_of(ingest, origin.master_url, return_at=5.5)
        first = await slow.run(ingest.follower(analyzer).follow_stream, request)
        request = following(request, first).model_copy(update={"return_at": None})
        await quick.run(ingest.follower(analyzer).follow_stream, request)
    assert len(rare.all) == 1
    assert len(often.all) > 1


async def test_a_worker_that_shuts_down_hands_over_what_it_has(
    ingest: IngestHarness, video: Path
) -> None:
    async with LiveOrigin(video, FAST) as origin:
        request = request_of(ingest, origin.master_url)
        going = environment()
        beats = Beats(going)
        follow = ingest.follower(ScriptedAnalyzer())
        attempt = asyncio.create_task(going.run(follow.follow_stream, request))
        await beats.until(lambda beat: bool(beat.windows))
        going.worker_shutdown()
        first = await asyncio.wait_for(attempt, 30)
        other = ingest.follower(ScriptedAnalyzer(), ingest.worker())
        second = await environment().run(other.follow_stream, following(request, first))
    assert first.end is None
    assert first.windows
    assert numbers(first, second) == list(range(12))
    assert second.windows[0].start == first.windows[-1].end


async def test_cancelling_keeps_what_was_fetched_and_stops_asking_the_origin(
    ingest: IngestHarness, video: Path
) -> None:
    async with LiveOrigin(video, FAST) as origin:
        going = environment()
        beats = Beats(going)
        follow = ingest.follower(ScriptedAnalyzer())
        attempt = asyncio.create_task(
            going.run(follow.follow_stream, request_of(ingest, origin.master_url))
        )
        await beats.until(lambda beat: bool(beat.windows))
        going.cancel()
        result = await asyncio.wait_for(attempt, 30)
        assert numbers(result)[:2] == [0, 1]
        assert ingest.scratch_files() == []
        asked = origin.hits.total()
        await origin.wait_published(origin.published + 2)
        assert origin.hits.total() == asked


async def follow_until_killed(request: FollowInput, harness: IngestHarness) -> None:
    follow = harness.follower(ScriptedAnalyzer())
    await environment().run(follow.follow_stream, request)


async def test_a_killed_worker_loses_no_segment_and_none_is_downloaded_twice(
    ingest: IngestHarness, video: Path, tmp_path: Path
) -> None:
    options = OriginOptions(pace=4.0, segment_duration=1.0, window=12, autostart=False)
    async with LiveOrigin(video, options) as origin:
        request = request_of(ingest, origin.master_url)
        worker = multiprocessing.get_context("spawn").Process(
            target=work_in_process,
            args=(str(tmp_path / "segments"), partial(follow_until_killed, request)),
        )
        worker.start()
        await origin.wait_requested()
        origin.begin()
        while await ingest.recorded() < 3:  # noqa: ASYNC110 a store has no events
            await asyncio.sleep(0.02)
        worker.kill()
        await asyncio.to_thread(worker.join)
        recorded = await ingest.recorded()
        follow = ingest.follower(ScriptedAnalyzer())  # the heartbeats are lost
        result = await environment().run(follow.follow_stream, request)
        hits = segment_hits(origin)
    await ingest.store.sweep(older_than=0)
    assert all(window.gaps == () for window in result.windows)
    assert numbers(result) == list(range(12))
    assert all(hits[f"90p/segment_{n:05d}.ts"] == 1 for n in range(recorded))
