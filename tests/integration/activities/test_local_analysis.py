"""The local analyzer on real media, through its activity."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analysis.local import LocalAnalysis
from app.services.feed.feed_service import FeedService
from domain.analysis.detector import DetectorState, advance
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.analysis.screen import ScreenMemory
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import GapReason, TimedMetadata, Window
from domain.profiles.model import Hud
from infra.media.pool import MediaPool
from infra.media.signals import SegmentFile, measure_segments
from tests.factories.scenes import STARTED, STREAM, TENANT, Film, Scene, film_scene, store_scene
from tests.fakes.crashing_media_pool import CRASHING, CrashingMediaPool


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return film_scene(tmp_path_factory.mktemp("film"))


@pytest.fixture
async def scene(film: Film, tmp_path: Path) -> Scene:
    return await store_scene(film, tmp_path)


class Analyzer:
    """Runs the activity window after window, as the stream's workflow does."""

    def __init__(self, scene: Scene, pool: MediaPool) -> None:
        self._activity = LocalAnalysis(segments=scene.store, pool=pool)
        self._environment = ActivityEnvironment()

    async def analyze(
        self, *windows: Window, previous: int | None, last: bool = False
    ) -> AnalyzeWindowResult:
        request = AnalyzeWindowInput(
            tenant_id=TENANT,
            stream_id=STREAM,
            windows=windows,
            previous_window=previous,
            profile_id="default",
            profile_version="1",
            last=last,
        )
        return await self._environment.run(self._activity.analyze_window, request)

    async def analyze_all(self, windows: list[Window]) -> list[HighlightCandidate]:
        found: list[HighlightCandidate] = []
        for window in windows:
            previous = window.index - 1 if window.index else None
            found += (await self.analyze(window, previous=previous)).candidates
        found += (await self.analyze(previous=windows[-1].index, last=True)).candidates
        return found


async def test_a_moment_in_real_media_is_found_where_it_is(
    scene: Scene, media_pool: MediaPool
) -> None:
    (candidate,) = await Analyzer(scene, media_pool).analyze_all(scene.windows())
    assert candidate.peak == pytest.approx(scene.peak, abs=1.0)
    assert candidate.start < scene.peak < candidate.end
    assert candidate.peak_wall_clock == STARTED + timedelta(seconds=candidate.peak)
    assert min(candidate.score.dimensions().values()) >= 0.7


async def test_windows_of_any_size_give_the_same_candidates(
    scene: Scene, media_pool: MediaPool
) -> None:
    by_three = await Analyzer(scene, media_pool).analyze_all(scene.windows(3))
    everything = await Analyzer(scene, media_pool).analyze(
        *scene.windows(5), previous=None, last=True
    )
    assert list(everything.candidates) == by_three


async def test_a_retry_gives_the_identical_answer(scene: Scene, media_pool: MediaPool) -> None:
    analyzer, windows = Analyzer(scene, media_pool), scene.windows()
    answers: list[HighlightCandidate] = []
    for window in windows:
        previous = window.index - 1 if window.index else None
        once = await analyzer.analyze(window, previous=previous)
        again = await analyzer.analyze(window, previous=previous)
        assert again == once
        answers += once.candidates
    assert len(answers) == 1


async def test_old_states_are_deleted(scene: Scene, media_pool: MediaPool) -> None:
    await Analyzer(scene, media_pool).analyze_all(scene.windows(2))
    assert len(await scene.store.list(f"{TENANT}/{STREAM}/analysis/")) == 4


async def test_a_lost_state_costs_the_memory_and_nothing_else(
    scene: Scene, media_pool: MediaPool
) -> None:
    result = await Analyzer(scene, media_pool).analyze(scene.windows()[2], previous=1)
    assert result.watermark == pytest.approx(17.0)


async def test_corrupt_and_missing_segments_are_counted_and_passed_over(
    scene: Scene, media_pool: MediaPool
) -> None:
    await scene.store.put(scene.segments[3].key, b"\x00not media at all" * 500)
    await scene.store.put(scene.segments[4].key, b"")
    await scene.store.delete(scene.segments[5].key)
    analyzer = Analyzer(scene, media_pool)
    result = await analyzer.analyze(*scene.windows(), previous=None, last=True)
    assert result.undecodable_segments == 3
    (gap,) = result.gaps
    assert (gap.start, gap.duration, gap.reason) == (6.0, 6.0, GapReason.CORRUPT)
    assert (gap.first_sequence, gap.last_sequence, gap.anchor_at) == (3, 5, 6.0)
    assert result.analyzed_seconds == pytest.approx((6.0, 0.0, *[6.0] * 4, 4.0), abs=0.3)
    assert [each.peak for each in result.candidates] == pytest.approx([scene.peak], abs=1.0)


async def test_a_segment_that_crashes_the_decoder_costs_itself_alone(scene: Scene) -> None:
    crashing = scene.segments[3].key
    await scene.store.put(crashing, await scene.store.read(crashing) + CRASHING)
    async with CrashingMediaPool(processes=1) as pool:
        result = await Analyzer(scene, pool).analyze(*scene.windows(), previous=None, last=True)
        assert pool.crashes == 2  # its window, then it alone
    (gap,) = result.gaps
    assert (gap.first_sequence, gap.last_sequence, gap.reason) == (3, 3, GapReason.CORRUPT)
    assert [each.peak for each in result.candidates] == pytest.approx([scene.peak], abs=1.0)


async def test_one_pass_over_all_frames_finds_the_same(scene: Scene, media_pool: MediaPool) -> None:
    by_window = await Analyzer(scene, media_pool).analyze_all(scene.windows())
    files = [
        SegmentFile(
            path=await scene.store.path(segment.key),
            start=segment.start,
            duration=segment.duration,
            first_timestamp=segment.first_timestamp,
            audio_track=segment.audio_track,
        )
        for segment in scene.segments
    ]
    frames = [frame for each in measure_segments(tuple(files)) if each for frame in each.frames]
    _, in_one_pass = advance(DetectorState(), frames, tenant_id=TENANT, stream_id=STREAM, last=True)
    assert [each.id for each in in_one_pass] == [each.id for each in by_window]


async def test_damage_in_every_segment_costs_neither_the_windows_nor_the_moment(
    scene: Scene, media_pool: MediaPool
) -> None:
    dice = random.Random(3)
    for segment in scene.segments:
        data = bytearray(await scene.store.read(segment.key))
        for _ in range(20):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        await scene.store.put(segment.key, bytes(data))
    found = await Analyzer(scene, media_pool).analyze_all(scene.windows())
    assert any(abs(each.peak - scene.peak) < 2.0 for each in found)


async def test_whatever_a_media_process_raises_costs_the_segments_it_is_about(
    scene: Scene, media_pool: MediaPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, bad = media_pool.run, scene.segments[4].key.rpartition("/")[2]

    async def stumble(
        task: object,
        files: tuple[SegmentFile, ...],
        hud: Hud | None,
        screen: ScreenMemory | None,
    ) -> object:
        if any(file.path.name == bad for file in files):
            raise IndexError("list index out of range")
        return await measure(measure_segments, files, hud, screen)

    monkeypatch.setattr(media_pool, "run", stumble)
    result = await Analyzer(scene, media_pool).analyze(*scene.windows()[1:2], previous=None)
    assert [gap.first_sequence for gap in result.gaps] == [4]
    assert result.analyzed_seconds == pytest.approx((4.0,), abs=0.3)


async def test_heartbeats_go_on_while_a_media_process_works(
    scene: Scene, media_pool: MediaPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(
        task: object, files: tuple[SegmentFile, ...], *screen: object
    ) -> tuple[None, ...]:
        await asyncio.sleep(2.5)
        return (None,) * len(files)

    monkeypatch.setattr(media_pool, "run", slowly)
    environment, beats = ActivityEnvironment(), []
    environment.on_heartbeat = lambda *details: beats.append(details)
    request = AnalyzeWindowInput(
        tenant_id=TENANT,
        stream_id=STREAM,
        windows=tuple(scene.windows()[:1]),
        profile_id="default",
        profile_version="1",
    )
    analysis = LocalAnalysis(segments=scene.store, pool=media_pool)
    await environment.run(analysis.analyze_window, request)
    assert len(beats) >= 2


class CountedFeed(FeedService):
    """Counts how often it is asked for events."""

    def __init__(self) -> None:
        self.asked = 0

    async def markers(self, **_: object) -> Sequence[TimedMetadata]:
        self.asked += 1
        return ()


@pytest.mark.parametrize(("fed", "asked"), [(True, 1), (False, 0)])
async def test_events_of_a_feed_are_looked_for_only_if_it_has_sent_any(
    scene: Scene, media_pool: MediaPool, fed: bool, asked: int
) -> None:
    feed = CountedFeed()
    analysis = LocalAnalysis(segments=scene.store, pool=media_pool, feed=feed)
    request = AnalyzeWindowInput(
        tenant_id=TENANT,
        stream_id=STREAM,
        windows=tuple(scene.windows()[:1]),
        profile_id="default",
        profile_version="1",
        fed=fed,
    )
    await ActivityEnvironment().run(analysis.analyze_window, request)
    assert feed.asked == asked
