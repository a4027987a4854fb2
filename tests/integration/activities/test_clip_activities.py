"""Rendering as an activity: from the segment store to the clip store, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import random
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.clips import ClipActivities, clip_key, thumbnail_key
from demo.ffmpeg import ffmpeg_path
from domain.clips.models import ClipSpec, RenderedClip
from domain.clips.spans import StreamSpan, plan_span
from domain.clips.tracker import plan_clip
from domain.media.segments import SegmentRef
from infra.media.concat import SpliceError
from infra.media.ffmpeg import FfmpegError, FfmpegLimits, find_ffmpeg
from infra.media.phash import hash_of_file
from infra.media.pool import MediaPool
from infra.media.probe import probe
from infra.media.render import inspect
from infra.storage.cache import MediaCache
from infra.storage.clips import LocalClipStore, S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.segments import LocalSegmentStore, S3SegmentStore, SegmentStore
from tests.factories.clips import STREAM, TENANT, WHEN, decision
from tests.factories.film import FRAME, beeps, film, pictures, segments

JOINED_AT = 500.0
PACKET = 188


class WatchedStore(LocalClipStore):
    """A clip store that remembers the order in which it was given files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.order: list[str] = []

    async def put(self, key: str, source: Path) -> None:
        await super().put(key, source)
        self.order.append(key)


@dataclass
class Studio:
    """The clip activities on stores of this test."""

    segments: LocalSegmentStore
    clips: WatchedStore
    pool: MediaPool
    scratch: Path
    limits: FfmpegLimits = field(default_factory=FfmpegLimits)
    environment: ActivityEnvironment = field(default_factory=ActivityEnvironment)

    @property
    def activities(self) -> ClipActivities:
        return ClipActivities(
            segments=self.segments,
            clips=self.clips,
            pool=self.pool,
            ffmpeg=find_ffmpeg(),
            limits=self.limits,
            scratch=self.scratch,
        )

    async def render(self, spec: ClipSpec) -> RenderedClip:
        return await self.environment.run(self.activities.render_clip, spec)

    async def delete(self, spec: ClipSpec) -> None:
        await self.environment.run(self.activities.delete_clip, spec)

    def stored(self) -> list[str]:
        found = [path for path in self.clips.root.rglob("*") if path.is_file()]
        return sorted(path.relative_to(self.clips.root).as_posix() for path in found)

    def encoders(self) -> list[psutil.Process]:
        children = psutil.Process().children(recursive=True)
        return [each for each in children if str(self.scratch) in " ".join(each.cmdline())]

    def left_over(self) -> list[Path]:
        return list(self.scratch.iterdir())


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("film")
    return segments(film(folder / "film.mp4"), folder / "parts")


@pytest.fixture
def studio(tmp_path: Path, media_pool: MediaPool) -> Studio:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    store = LocalSegmentStore(tmp_path / "segments")
    return Studio(store, WatchedStore(tmp_path / "clips"), media_pool, scratch)


@pytest.fixture
async def stored(studio: Studio, parts: list[Path]) -> list[SegmentRef]:
    """The film's segments as ingest has stored them, in a stream joined long ago."""
    return [await store_part(studio.segments, number, part) for number, part in enumerate(parts)]


async def store_part(store: SegmentStore, number: int, part: Path) -> SegmentRef:
    key = f"{TENANT}/{STREAM}/media/180p/00000-{number:010d}.ts"
    data = await asyncio.to_thread(part.read_bytes)
    await store.put(key, data)
    facts = probe(str(part))
    return SegmentRef(
        media_sequence=number,
        start=JOINED_AT + 2.0 * number,
        duration=facts.duration,
        first_timestamp=facts.first_timestamp,
        key=key,
        size=len(data),
        published_at=WHEN,
    )


def with_silence_first(source: Path) -> Path:
    """Add an audio track of silence before that of a film."""
    path = source.with_name("both.mp4")
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "anullsrc"]
    command += ["-i", str(source), "-map", "1:v", "-map", "0", "-map", "1:a", "-c:v", "copy"]
    subprocess.run([*command, "-t", "8", str(path)], check=True, timeout=60)
    return path


def planned(stored: list[SegmentRef], *, peak: float = 4.0) -> ClipSpec:
    wanted = decision(1, peak=JOINED_AT + peak, before=2.2, after=1.8)
    spec = plan_clip(wanted, stored, tenant_id=TENANT, stream_id=STREAM)
    assert spec is not None
    return spec


async def test_a_clip_has_the_sound_of_the_track_that_ingest_chose(
    studio: Studio, tmp_path: Path
) -> None:
    both = with_silence_first(film(tmp_path / "film.mp4", seconds=8.0))
    stored = []
    for number, part in enumerate(segments(both, tmp_path / "both", options=("-map", "0"))):
        chosen = probe(str(part)).audio_tracks[1].id
        ref = await store_part(studio.segments, number, part)
        stored.append(ref.model_copy(update={"audio_track": chosen}))
    rendered = await studio.render(planned(stored))
    heard = beeps(studio.clips.path(rendered.key))
    assert [1.8 + at for at in heard] == pytest.approx([2, 3, 4, 5], abs=0.02)


async def test_a_clip_shows_the_decided_span_and_reports_its_properties(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    rendered = await studio.render(planned(stored))
    shown = pictures(studio.clips.path(rendered.key))
    assert (shown[0].number, shown[-1].number) == (45, 144)
    assert rendered.start == pytest.approx(JOINED_AT + 1.8)
    assert rendered.duration == pytest.approx(4.0, abs=FRAME)
    assert (rendered.width, rendered.height, rendered.has_audio) == (320, 180, True)


async def test_the_file_in_the_store_is_the_one_described(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    spec = planned(stored)
    rendered = await studio.render(spec)
    data = studio.clips.path(rendered.key).read_bytes()
    assert (rendered.size, rendered.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (rendered.clip_id, rendered.key) == (spec.id, f"{TENANT}/{STREAM}/{spec.id}.mp4")
    assert rendered.thumbnail_key == f"{TENANT}/{STREAM}/{spec.id}.jpg"


async def test_a_clip_rendered_from_s3_into_s3_plays_from_its_url(
    studio: Studio, parts: list[Path], s3_bucket: str, tmp_path: Path
) -> None:
    connection = S3Connection()
    segments = S3SegmentStore(
        S3Bucket(connection, S3Location(s3_bucket, "segments")),
        MediaCache(tmp_path / "cache", max_bytes=1 << 30),
    )
    clips = S3ClipStore(S3Bucket(connection, S3Location(s3_bucket, "clips")))
    activities = ClipActivities(
        segments=segments,
        clips=clips,
        pool=studio.pool,
        ffmpeg=find_ffmpeg(),
        limits=studio.limits,
        scratch=studio.scratch,
    )
    stored = [await store_part(segments, number, part) for number, part in enumerate(parts)]
    rendered = await studio.environment.run(activities.render_clip, planned(stored))
    url = await clips.locate(rendered.key, expires=int(time.time()) + 600)
    async with httpx.AsyncClient() as client:
        data = (await client.get(str(url))).content
    await connection.close()
    assert hashlib.sha256(data).hexdigest() == rendered.sha256
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(data)
    shown = pictures(copy)
    assert (shown[0].number, shown[-1].number) == (45, 144)
    assert inspect(copy).duration == pytest.approx(4.0, abs=FRAME)


async def test_the_clip_has_the_hash_of_its_thumbnail(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    rendered = await studio.render(planned(stored))
    assert rendered.thumbnail_key is not None
    still = studio.clips.path(rendered.thumbnail_key)
    assert rendered.thumbnail_hash == hash_of_file(still) is not None


async def test_the_thumbnail_is_there_before_the_clip(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    spec = planned(stored)
    await studio.render(spec)
    assert studio.clips.order == [thumbnail_key(spec), clip_key(spec)]
    (still,) = pictures(studio.clips.path(thumbnail_key(spec)))
    assert still.number == 100


async def test_rendering_again_replaces(studio: Studio, stored: list[SegmentRef]) -> None:
    spec = planned(stored)
    first, second = await studio.render(spec), await studio.render(spec)
    assert studio.stored() == sorted([clip_key(spec), thumbnail_key(spec)])
    assert second.model_dump(exclude={"rendered_at"}) == first.model_dump(exclude={"rendered_at"})


async def test_nothing_is_left_in_scratch(studio: Studio, stored: list[SegmentRef]) -> None:
    await studio.render(planned(stored))
    assert studio.left_over() == []


async def test_heartbeats_tell_how_far_it_is(studio: Studio, stored: list[SegmentRef]) -> None:
    told: list[float] = []
    studio.environment.on_heartbeat = lambda *details: told.extend(details)
    await studio.render(planned(stored))
    assert told
    assert told == sorted(told)


async def test_media_that_is_gone_is_not_waited_for(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    await studio.segments.delete(stored[1].key)
    with pytest.raises(ApplicationError, match="segment 1 is no longer stored") as raised:
        await studio.render(planned(stored))
    assert (raised.value.type, raised.value.non_retryable) == ("media_gone", True)
    assert studio.stored() == []


async def test_media_that_cannot_be_read_leaves_nothing(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    for part in stored:
        await studio.segments.put(part.key, b"noise" * 1000)
    with pytest.raises(SpliceError):
        await studio.render(planned(stored))
    assert (studio.stored(), studio.left_over()) == ([], [])


def spoiled(data: bytes, *, first: float, pid: int | None = None) -> bytes:
    """A segment from `first` (a part of its size) on replaced by noise, or emptied of one PID."""
    begin = int(len(data) * first) // PACKET * PACKET
    if pid is None:
        return data[:begin] + random.Random(1).randbytes(len(data) - begin)
    packets = [data[at : at + PACKET] for at in range(begin, len(data), PACKET)]
    kept = [each for each in packets if ((each[1] & 0x1F) << 8 | each[2]) != pid]
    return data[:begin] + b"".join(kept)


@pytest.mark.parametrize("pid", [None, 0x100, 0x101], ids=["noise", "no pictures", "no sound"])
async def test_a_clip_whose_end_is_damaged_ends_before_the_damage(
    studio: Studio, stored: list[SegmentRef], parts: list[Path], pid: int | None
) -> None:
    data = await asyncio.to_thread(parts[2].read_bytes)
    await studio.segments.put(stored[2].key, spoiled(data, first=0.3, pid=pid))
    spec = planned(stored, peak=3.5)
    rendered = await studio.render(spec)
    assert rendered.start == spec.start
    assert JOINED_AT + 3.5 < rendered.start + rendered.duration < JOINED_AT + 5.3
    clip = studio.clips.path(rendered.key)
    shown = pictures(clip)
    assert len(shown) == pytest.approx(rendered.duration / FRAME, abs=2)
    assert inspect(clip).holes == ()
    assert (studio.left_over(), studio.encoders()) == ([], [])


async def test_a_clip_whose_beginning_is_damaged_begins_after_it(
    studio: Studio, stored: list[SegmentRef], parts: list[Path]
) -> None:
    data = await asyncio.to_thread(parts[1].read_bytes)
    await studio.segments.put(stored[1].key, spoiled(data, first=0.0, pid=0x100))
    rendered = await studio.render(planned(stored, peak=4.4))
    assert rendered.start == pytest.approx(JOINED_AT + 4.0, abs=FRAME)
    shown = pictures(studio.clips.path(rendered.key))
    assert shown[0].number == 100
    assert shown[0].at == pytest.approx(0.0, abs=FRAME)


@pytest.mark.parametrize("damaged", [(1, 2), range(5)], ids=["peak", "all"])
async def test_a_clip_whose_peak_cannot_be_shown_fails_with_the_reason(
    studio: Studio, stored: list[SegmentRef], parts: list[Path], damaged: Sequence[int]
) -> None:
    for number in damaged:
        data = await asyncio.to_thread(parts[number].read_bytes)
        await studio.segments.put(stored[number].key, spoiled(data, first=0.0, pid=0x100))
    with pytest.raises(ApplicationError, match=r"media is damaged: \d\.\d s of picture") as raised:
        await studio.render(planned(stored))
    assert (raised.value.type, raised.value.non_retryable) == ("media_damaged", True)
    assert (studio.stored(), studio.left_over()) == ([], [])


async def test_a_damaged_clip_on_demand_fails_rather_than_becoming_shorter(
    studio: Studio, stored: list[SegmentRef], parts: list[Path]
) -> None:
    data = await asyncio.to_thread(parts[2].read_bytes)
    await studio.segments.put(stored[2].key, spoiled(data, first=0.3, pid=None))
    spec = planned(stored, peak=3.5).model_copy(update={"highlight_id": None})
    with pytest.raises(ApplicationError, match="within the clip") as raised:
        await studio.render(spec)
    assert (raised.value.type, raised.value.non_retryable) == ("media_damaged", True)
    assert (studio.stored(), studio.left_over()) == ([], [])


@pytest.mark.parametrize(("video", "audio"), [(True, False), (False, True)], ids=["mute", "sound"])
async def test_a_clip_on_demand_has_what_its_stream_has(
    studio: Studio, tmp_path: Path, *, video: bool, audio: bool
) -> None:
    source = film(tmp_path / "one.mp4", seconds=6.0, video=video, audio=audio)
    cut = await asyncio.to_thread(segments, source, tmp_path / "one")
    stored = [await store_part(studio.segments, number, part) for number, part in enumerate(cut)]
    stored = [each.model_copy(update={"has_video": video, "has_audio": audio}) for each in stored]
    span = StreamSpan(start=stored[0].start + 0.5, end=stored[0].start + 3.5)
    (spec,) = plan_span(
        span, stored, tenant_id=TENANT, stream_id=STREAM, request_id=UUID(int=9)
    ).clips
    rendered = await studio.render(spec)
    assert rendered.duration == pytest.approx(3.0, abs=2 * FRAME)
    assert (rendered.width is not None, rendered.has_audio) == (video, audio)


async def test_an_encoder_that_fails_leaves_nothing(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    studio.limits = FfmpegLimits(output_bytes=1000)
    with pytest.raises(FfmpegError):
        await studio.render(planned(stored))
    assert (studio.stored(), studio.left_over()) == ([], [])


async def test_cancelling_leaves_no_encoder_no_clip_and_no_scratch(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    turns = [
        each.model_copy(update={"start": each.start + 10.0 * turn})
        for turn in range(12)
        for each in stored
    ]
    wanted = decision(1, peak=JOINED_AT + 60.0, before=60.0, after=60.0)
    spec = plan_clip(wanted, turns, tenant_id=TENANT, stream_id=STREAM)
    assert spec is not None
    task = asyncio.create_task(studio.render(spec))
    while not studio.encoders():
        await asyncio.sleep(0.01)
        assert not task.done()
    studio.environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (studio.encoders(), studio.stored(), studio.left_over()) == ([], [], [])


async def test_a_deleted_clip_is_gone_with_its_thumbnail(
    studio: Studio, stored: list[SegmentRef]
) -> None:
    spec, other = planned(stored), planned(stored).model_copy(update={"id": UUID(int=9)})
    await studio.render(spec)
    await studio.render(other)
    for _ in range(2):
        await studio.delete(spec)
    assert studio.stored() == sorted([clip_key(other), thumbnail_key(other)])
