"""Recordings of every kind, surveyed and fetched from a real origin."""

from __future__ import annotations

import asyncio
import errno
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.recordings import RecordingActivities
from app.services.clips import MediaRetention
from demo.hms.recording import Recording
from demo.origin import Faults, LiveOrigin, OriginOptions
from domain.ingest.messages import IngestCursor, IngestProgress
from domain.media.segments import Gap, GapReason, VariantPolicy
from domain.streams.backfill.messages import (
    FetchRecordingInput,
    FetchRecordingResult,
    RecordingRelease,
    RecordingSurvey,
    SurveyInput,
)
from domain.streams.backfill.planning import JoinedBy
from domain.streams.messages import RecordingReady
from domain.streams.status import EndReason
from infra.db.engine import Database
from infra.media.ffmpeg import find_ffmpeg
from infra.media.hls_client import HlsClient, UnreachableError
from infra.media.pool import MediaPool
from infra.media.recordings import cache
from infra.media.recordings.cache import upload_key
from infra.ssrf import UrlGuard
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import LocalSegmentStore
from tests.factories.media import make_video
from tests.integration.ingest.harness import QUICK, heartbeats, static_origin

pytestmark = pytest.mark.timeout(60)

TENANT, STREAM = UUID(int=1), UUID(int=2)
LIMITS = QUICK.model_copy(update={"request_timeout": 5.0})
VOD = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-PLAYLIST-TYPE:VOD
#EXTINF:2.0,
0.ts
#EXTINF:2.0,
1.ts
#EXT-X-ENDLIST
"""
GAP = Gap(start=2.0, duration=2.0, first_sequence=1, last_sequence=1, reason=GapReason.ROLLED_OFF)


class Recorder:
    """The recording activities of one worker on a store of their own."""

    def __init__(self, activities: RecordingActivities, store: LocalSegmentStore) -> None:
        self.activities = activities
        self.store = store

    async def survey(
        self, url: str, *alternatives: str, gaps: tuple[Gap, ...] | None = None, end: float = 4.0
    ) -> RecordingSurvey:
        return await ActivityEnvironment().run(
            self.activities.survey_recording,
            SurveyInput(
                tenant_id=TENANT,
                stream_id=STREAM,
                recording=RecordingReady(url=url, alternatives=alternatives),
                gaps=gaps,
                stream_end=end,
                limits=LIMITS,
                variant=VariantPolicy(),
            ),
        )

    async def fetch(
        self,
        survey: RecordingSurvey,
        *,
        environment: ActivityEnvironment | None = None,
        keep: bool = False,
    ) -> FetchRecordingResult:
        """Fetch the first piece of what was surveyed."""
        piece = survey.plan.ranges[0].pieces[0]
        environment = environment or ActivityEnvironment()
        return await environment.run(
            self.activities.fetch_recording,
            FetchRecordingInput(
                tenant_id=TENANT,
                stream_id=STREAM,
                playlist_url=survey.playlist_url,
                audio_url=survey.audio_url,
                piece=piece,
                cursor=IngestCursor(position=piece.start, window_index=piece.window),
                limits=LIMITS,
                last=True,
                keep=keep,
            ),
        )

    async def keys(self) -> list[str]:
        return list(await self.store.list(f"{TENANT}/{STREAM}/recording/"))


@pytest.fixture
def retention(database: Database) -> MediaRetention:
    return MediaRetention(database, seconds=60.0, recording_seconds=60.0)


@pytest.fixture
async def recorder(
    tmp_path: Path, media_pool: MediaPool, retention: MediaRetention
) -> AsyncIterator[Recorder]:
    store = LocalSegmentStore(tmp_path / "segments")
    async with HlsClient(UrlGuard(allow_private=True)) as client:
        activities = RecordingActivities(
            store=store,
            client=client,
            pool=media_pool,
            ffmpeg=find_ffmpeg(),
            retention=retention,
            heartbeat_interval=0.02,
        )
        yield Recorder(activities, store)
    assert list((tmp_path / "segments" / ".scratch").glob("*")) == []


@pytest.fixture
async def other_recorder(
    tmp_path: Path, media_pool: MediaPool, retention: MediaRetention
) -> AsyncIterator[Recorder]:
    """Another worker, with connections of its own."""
    store = LocalSegmentStore(tmp_path / "segments")
    async with HlsClient(UrlGuard(allow_private=True)) as client:
        yield Recorder(
            RecordingActivities(
                store=store,
                client=client,
                pool=media_pool,
                ffmpeg=find_ffmpeg(),
                retention=retention,
            ),
            store,
        )


@asynccontextmanager
async def recording(video: Path, faults: Faults | None = None) -> AsyncIterator[LiveOrigin]:
    options = OriginOptions(
        playlist_type="vod", segment_duration=1.0, faults=faults or Faults(), pace=1.0
    )
    async with LiveOrigin(video, options) as origin:
        await origin.finished.wait()
        yield origin


async def test_a_whole_recording_is_stored_as_one_window_on_one_timeline(
    recorder: Recorder, video: Path
) -> None:
    async with recording(video) as origin:
        survey = await recorder.survey(origin.master_url)
        window = (await recorder.fetch(survey)).window
    assert survey.plan.ranges[0].joined_by is JoinedBy.WHOLE
    assert window is not None
    assert [round(each.start, 2) for each in window.segments] == [float(n) for n in range(12)]
    assert window.index == survey.plan.ranges[0].pieces[0].window
    assert await recorder.keys() == [each.key for each in window.segments]


async def test_only_what_surrounds_a_gap_is_fetched_and_lies_where_it_lay_live(
    recorder: Recorder, video: Path
) -> None:
    async with recording(video) as origin:
        first = origin.segments[0].program_date_time
        gap = GAP.model_copy(update={"start": 3.0, "anchor_at": 2.0, "anchor_wall": first})
        survey = await recorder.survey(origin.master_url, gaps=(gap,), end=9.0)
        window = (await recorder.fetch(survey)).window
    assert survey.plan.ranges[0].joined_by is JoinedBy.WALL_CLOCK
    assert window is not None
    assert window.start == pytest.approx(2.0, abs=0.01)  # what was second 0 of the recording


async def test_a_segment_that_begins_before_the_stream_does_moves_nothing_after_it(
    recorder: Recorder, video: Path
) -> None:
    async with recording(video) as origin:
        first = origin.segments[0].program_date_time
        wall = first + timedelta(seconds=1.6)
        gap = GAP.model_copy(update={"start": 0.0, "anchor_at": 0.0, "anchor_wall": wall})
        survey = await recorder.survey(origin.master_url, gaps=(gap,), end=9.0)
        window = (await recorder.fetch(survey)).window
    assert window is not None
    starts = [each.start for each in window.segments]
    assert starts[:4] == pytest.approx([0.0, 0.4, 1.4, 2.4], abs=0.05)
    clocks = [each.first_timestamp - each.start for each in window.segments]
    assert clocks == pytest.approx([clocks[0]] * len(clocks), abs=0.01)


async def test_a_segment_that_is_not_there_is_a_hole(recorder: Recorder, video: Path) -> None:
    async with recording(video, Faults(missing=(4,))) as origin:
        window = (await recorder.fetch(await recorder.survey(origin.master_url))).window
    assert window is not None
    assert len(window.segments) == 11
    (hole,) = window.gaps
    assert hole.start == pytest.approx(4.0, abs=0.1)
    assert hole.reason is GapReason.NOT_FOUND


async def test_a_store_that_was_full_for_a_moment_costs_a_recording_nothing(
    recorder: Recorder, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopt, refusals = recorder.store.adopt, [errno.ENOSPC, errno.EIO]

    async def adopt_later(key: str, file: Path) -> None:
        if refusals:
            raise OSError(refusals.pop(), "the volume refuses")
        await adopt(key, file)

    monkeypatch.setattr(recorder.store, "adopt", adopt_later)
    async with recording(video) as origin:
        window = (await recorder.fetch(await recorder.survey(origin.master_url))).window
    assert window is not None
    assert (len(window.segments), window.gaps) == (12, ())


async def test_a_retry_goes_on_where_the_heartbeat_says(recorder: Recorder, video: Path) -> None:
    async with recording(video) as origin:
        survey = await recorder.survey(origin.master_url)
        first = ActivityEnvironment()
        beats = heartbeats(first)
        whole = (await recorder.fetch(survey, environment=first)).window
        halfway = next(each for each in beats if len(each.segments) >= 4)
        hits = origin.hits.copy()
        again = ActivityEnvironment()
        again.info = again.info.__class__(
            **{**again.info.__dict__, "heartbeat_details": [halfway.model_dump(mode="json")]}
        )
        resumed = (await recorder.fetch(survey, environment=again)).window
        repeated = origin.hits - hits
    assert whole is not None
    assert resumed is not None
    assert [each.key for each in resumed.segments] == [each.key for each in whole.segments]
    assert sum(repeated.values()) == len(whole.segments) - len(halfway.segments)
    assert isinstance(halfway, IngestProgress)


async def test_a_worker_that_continues_leaves_no_hole_in_the_index_of_kept_media(
    recorder: Recorder, video: Path
) -> None:
    async with recording(video) as origin:
        survey = await recorder.survey(origin.master_url)
        first = ActivityEnvironment()
        beats = heartbeats(first)
        whole = (await recorder.fetch(survey, environment=first, keep=True)).window
        assert whole is not None
        halfway = next(each for each in beats if 0 < len(each.segments) < len(whole.segments))
        stored = StoredSegments(recorder.store, tenant_id=TENANT, stream_id=STREAM)
        # The index as the first worker had written it when it sent this heartbeat.
        index = await stored.covering(0.0, halfway.segments[-1].end)
        assert [each.key for each in index] == [each.key for each in halfway.segments]
        await stored.release(before=None)
        for each in index:
            await recorder.store.put(each.key, b"media")
        again = ActivityEnvironment()
        again.info = again.info.__class__(
            **{**again.info.__dict__, "heartbeat_details": [halfway.model_dump(mode="json")]}
        )
        resumed = (await recorder.fetch(survey, environment=again, keep=True)).window
    assert resumed is not None
    found = await stored.covering(halfway.segments[-1].end, 60.0)
    assert [each.key for each in found] == [
        each.key for each in whole.segments[len(halfway.segments) :]
    ]


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (Response(status_code=404), EndReason.ORIGIN_UNREACHABLE, "is not there"),
        (Response(status_code=403), EndReason.ORIGIN_UNREACHABLE, "presigned address may have"),
        (Response("PK\x03\x04 a zip archive"), EndReason.NOT_A_PLAYLIST, "VOD playlist"),
        (
            Response(VOD.replace("#EXTINF:2.0,\n0.ts\n#EXTINF:2.0,\n1.ts\n", "")),
            EndReason.NO_MEDIA,
            "lists no segment",
        ),
        (
            Response(VOD.replace("#EXTINF", '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n#EXTINF', 1)),
            EndReason.ENCRYPTED,
            "SAMPLE-AES",
        ),
    ],
)
async def test_a_recording_that_cannot_be_used_says_why(
    recorder: Recorder, answer: Response, reason: EndReason, words: str
) -> None:
    async with static_origin({"vod.m3u8": lambda _: answer}) as (base, _):
        survey = await recorder.survey(f"{base}/vod.m3u8?X-Amz-Signature=secret")
    assert survey.problem is not None
    assert survey.problem.reason is reason
    assert words in survey.problem.message
    assert "secret" not in survey.problem.message


async def zipped(video: Path) -> bytes:
    """An archive of a stream's recording, as 100ms's SDK has it."""
    options = OriginOptions(segment_duration=1.0, pace=40.0, keep_all=True)
    async with LiveOrigin(video, options) as origin:
        await origin.finished.wait()
        found = await asyncio.to_thread(Recording(origin, "zip").read, "recording.zip")
    assert found is not None
    return found[0]


async def test_an_archive_is_read_as_the_playlist_in_it_would_be(
    recorder: Recorder, video: Path
) -> None:
    archive = await zipped(video)
    async with static_origin({"recording.zip": lambda _: Response(archive)}) as (base, _):
        survey = await recorder.survey(f"{base}/recording.zip?X-Amz-Signature=secret")
        window = (await recorder.fetch(survey)).window
    assert window is not None
    assert [round(each.start, 2) for each in window.segments] == [float(n) for n in range(12)]
    assert (window.gaps, await recorder.keys()) == ((), [each.key for each in window.segments])


async def test_an_archive_is_at_hand_until_its_backfill_is_over(
    recorder: Recorder, video: Path
) -> None:
    archive = await zipped(video)
    async with static_origin({"recording.zip": lambda _: Response(archive)}) as (base, hits):
        survey = await recorder.survey(f"{base}/recording.zip")
        await recorder.fetch(survey)
        assert hits["recording.zip"] == 1
        release = RecordingRelease(tenant_id=TENANT, stream_id=STREAM)
        await ActivityEnvironment().run(recorder.activities.release_recording, release)
        await recorder.fetch(survey)
        assert hits["recording.zip"] == 2


async def test_another_worker_downloads_the_archive_again(
    recorder: Recorder, other_recorder: Recorder, video: Path
) -> None:
    archive = await zipped(video)
    async with static_origin({"recording.zip": lambda _: Response(archive)}) as (base, _):
        survey = await recorder.survey(f"{base}/recording.zip")
        window = (await other_recorder.fetch(survey)).window
    assert window is not None
    assert len(window.segments) == 12


async def test_a_segment_that_is_not_in_the_archive_is_a_hole(
    recorder: Recorder, video: Path
) -> None:
    whole, without = io.BytesIO(await zipped(video)), io.BytesIO()
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(without, "w") as target:
        names = source.namelist()
        lost = [name for name in names if name.endswith(".ts")][4]
        for name in names:
            if name != lost:
                target.writestr(name, source.read(name))
    answer = without.getvalue()
    async with static_origin({"recording.zip": lambda _: Response(answer)}) as (base, _):
        window = (await recorder.fetch(await recorder.survey(f"{base}/recording.zip"))).window
    assert window is not None
    assert [each.reason for each in window.gaps] == [GapReason.NOT_FOUND]
    assert len(window.segments) == 11


async def test_an_archive_that_is_refused_says_why(recorder: Recorder) -> None:
    hostile = io.BytesIO()
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr("../../master.m3u8", VOD)
    answer = hostile.getvalue()
    async with static_origin({"recording.zip": lambda _: Response(answer)}) as (base, _):
        survey = await recorder.survey(f"{base}/recording.zip?X-Amz-Signature=secret")
    assert survey.problem is not None
    assert survey.problem.reason is EndReason.NOT_A_PLAYLIST
    assert "leads out of it" in survey.problem.message
    assert "secret" not in survey.problem.message


async def test_an_archive_larger_than_allowed_is_not_downloaded(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_FILE_BYTES", 1000)
    async with static_origin({"recording.zip": lambda _: Response(bytes(1001))}) as (base, _):
        survey = await recorder.survey(f"{base}/recording.zip")
    assert survey.problem is not None
    assert survey.problem.reason is EndReason.PLAYLIST_TOO_LARGE


MEDIA_FILES: dict[str, dict[str, Any]] = {
    "mp4": {},
    "mov": {},
    "mkv": {"audio_codec": "libvorbis"},
    "webm": {"video_codec": "libvpx-vp9", "audio_codec": "libopus"},
    "ts": {"audio_codec": "mp2"},
    "mp3": {"video": False, "audio_codec": "libmp3lame"},
}


@pytest.mark.parametrize("suffix", MEDIA_FILES)
async def test_a_media_file_is_cut_into_segments_without_gaps(
    recorder: Recorder, tmp_path: Path, suffix: str
) -> None:
    file = make_video(
        tmp_path / f"film.{suffix}",
        seconds=6.0,
        size="160x90",
        keyframe_interval=1.0,
        **MEDIA_FILES[suffix],
    )
    content = file.read_bytes()
    async with static_origin({file.name: lambda _: Response(content)}) as (base, hits):
        survey = await recorder.survey(f"{base}/{file.name}?X-Amz-Signature=secret")
        window = (await recorder.fetch(survey)).window
    assert (survey.problem, hits[file.name]) == (None, 1)
    assert window is not None
    assert window.gaps == ()
    assert window.end == pytest.approx(6.0, abs=0.15)
    assert all(each.duration <= 2.5 for each in window.segments)


async def test_a_file_without_media_says_so(recorder: Recorder) -> None:
    async with static_origin({"film.mp4": lambda _: Response(b"<html>no film</html>")}) as (
        base,
        _,
    ):
        survey = await recorder.survey(f"{base}/film.mp4?X-Amz-Signature=secret")
    assert survey.problem is not None
    assert survey.problem.reason is EndReason.NOT_A_PLAYLIST
    assert survey.problem.message.startswith("The recording's file is not used: it cannot be read")
    assert "secret" not in survey.problem.message


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{secret}'\n",
    ],
    ids=["playlist", "list of files"],
)
async def test_a_file_that_names_other_files_is_refused(
    recorder: Recorder, video: Path, content: str
) -> None:
    """Else it could make us publish a file of ours."""
    listing = content.format(secret=video)
    async with static_origin({"film.ts": lambda _: Response(listing)}) as (base, _):
        survey = await recorder.survey(f"{base}/film.ts")
    assert survey.problem is not None
    assert survey.problem.reason is EndReason.NOT_A_PLAYLIST


async def test_an_uploaded_file_is_read_from_the_store(recorder: Recorder, video: Path) -> None:
    key = upload_key(tenant_id=TENANT, stream_id=STREAM)
    await recorder.store.put(key, await asyncio.to_thread(video.read_bytes))
    survey = await recorder.survey(f"upload:{key}")
    window = (await recorder.fetch(survey)).window
    assert window is not None
    assert window.end == pytest.approx(12.0, abs=0.1)
    release = RecordingRelease(tenant_id=TENANT, stream_id=STREAM)
    await ActivityEnvironment().run(recorder.activities.release_recording, release)
    assert not await recorder.store.exists(key)


async def test_another_tenants_upload_is_refused(recorder: Recorder, video: Path) -> None:
    key = upload_key(tenant_id=UUID(int=9), stream_id=STREAM)
    await recorder.store.put(key, await asyncio.to_thread(video.read_bytes))
    survey = await recorder.survey(f"upload:{key}")
    assert survey.problem is not None
    assert survey.problem.reason is EndReason.URL_FORBIDDEN


async def test_an_address_on_our_own_network_is_refused_also_behind_a_redirect(
    tmp_path: Path, media_pool: MediaPool, retention: MediaRetention
) -> None:
    store = LocalSegmentStore(tmp_path)
    async with HlsClient(UrlGuard()) as client:
        activities = RecordingActivities(
            store=store,
            client=client,
            pool=media_pool,
            ffmpeg=find_ffmpeg(),
            retention=retention,
        )
        survey = await Recorder(activities, store).survey("https://127.0.0.1/vod.m3u8")
    assert survey.problem is not None
    assert survey.problem.reason is EndReason.URL_FORBIDDEN


async def test_the_path_is_tried_where_the_presigned_address_has_expired(
    recorder: Recorder,
) -> None:
    async with static_origin({"vod.m3u8": VOD}) as (base, _):
        survey = await recorder.survey(f"{base}/expired.m3u8?sig=1", f"{base}/vod.m3u8")
    assert survey.problem is None
    assert survey.playlist_url == f"{base}/vod.m3u8"


async def test_an_origin_that_does_not_answer_is_worth_another_try(recorder: Recorder) -> None:
    async with static_origin({"vod.m3u8": lambda _: Response(status_code=503)}) as (base, _):
        with pytest.raises(UnreachableError):
            await recorder.survey(f"{base}/vod.m3u8")


async def test_a_recording_still_being_written_is_waited_for(recorder: Recorder) -> None:
    growing = VOD.replace("#EXT-X-ENDLIST\n", "").replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "")
    async with static_origin({"vod.m3u8": growing}) as (base, _):
        with pytest.raises(ApplicationError, match="still being written"):
            await recorder.survey(f"{base}/vod.m3u8")


async def test_a_short_recording_loses_the_gaps_that_it_does_not_reach(recorder: Recorder) -> None:
    far = GAP.model_copy(update={"start": 100.0})
    async with static_origin({"vod.m3u8": VOD}) as (base, _):
        survey = await recorder.survey(f"{base}/vod.m3u8", gaps=(GAP, far), end=120.0)
    assert survey.plan.ranges == ()
    assert len(survey.plan.lost) == 2


async def test_redirects_are_followed_as_far_as_the_guard_allows(recorder: Recorder) -> None:
    def moved(request: Request) -> Response:
        return RedirectResponse(str(request.url).replace("moved", "vod"))

    async with static_origin({"vod.m3u8": VOD, "moved.m3u8": moved}) as (base, _):
        survey = await recorder.survey(f"{base}/moved.m3u8")
    assert survey.plan.ranges != ()


async def test_media_is_released_up_to_a_point_and_then_all(
    recorder: Recorder, video: Path
) -> None:
    async with recording(video) as origin:
        await recorder.fetch(await recorder.survey(origin.master_url))
    release = RecordingRelease(tenant_id=TENANT, stream_id=STREAM, before=5.5)
    await ActivityEnvironment().run(recorder.activities.release_recording, release)
    assert len(await recorder.keys()) == 7
    release = release.model_copy(update={"before": None})
    await ActivityEnvironment().run(recorder.activities.release_recording, release)
    assert await recorder.keys() == []
