"""Exports of a clip: from S3 into S3, and while a disk, a store or the encoder fails."""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.exports import ExportActivities
from domain.exports.models import (
    ExportSource,
    ExportSpec,
    RenderedRendition,
    RenderExportInput,
    RenditionSpec,
)
from infra.db.engine import Database
from infra.media.exports.renderer import ExportRenderer
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.storage.clips import LocalClipStore, S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location, S3UnreachableError
from infra.storage.segments import LocalSegmentStore
from tests.factories.film import film, pictures

pytestmark = pytest.mark.timeout(120)
DISK_FULL = ("disk_full", "disk or the store of finished files is full")


async def test_an_export_from_s3_into_s3_plays_from_its_url_and_can_be_deleted(
    database: Database, media_pool: MediaPool, s3_bucket: str, tmp_path: Path
) -> None:
    connection = S3Connection()
    clips = S3ClipStore(S3Bucket(connection, S3Location(s3_bucket, "clips")))
    activities = ExportActivities(
        database=database,
        segments=LocalSegmentStore(tmp_path / "segments"),
        clips=clips,
        renderer=ExportRenderer(pool=media_pool, binary=find_ffmpeg(), limits=FfmpegLimits()),
        scratch=tmp_path / "scratch",
    )
    await clips.put("clip.mp4", film(tmp_path / "clip.mp4", seconds=4.0))
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        source=ExportSource(stream_id=uuid4(), clip_key="clip.mp4", start=10.0, end=14.0),
        renditions=tuple(
            RenditionSpec.model_validate({"format": form}) for form in ("mp4", "webm", "storyboard")
        ),
    )
    request = RenderExportInput(spec=spec, numbers=(1, 2, 3))
    environment = ActivityEnvironment()
    async with httpx.AsyncClient() as client:
        made = (await environment.run(activities.render_export, request)).renditions
        urls = [
            str(await clips.locate(str(each.key), expires=int(time.time()) + 600)) for each in made
        ]
        files = [(await client.get(url)).content for url in urls]
        assert [hashlib.sha256(file).hexdigest() for file in files] == [
            each.sha256 for each in made
        ]
        movie = tmp_path / "movie.webm"
        movie.write_bytes(files[1])
        shown = pictures(movie)
        assert (shown[0].number, shown[-1].number) == (0, 99)
        assert made[1].start == pytest.approx(10.0)
        await environment.run(activities.delete_export, request)
        assert {(await client.get(url)).status_code for url in urls} == {404}
    await connection.close()
    assert list((tmp_path / "scratch").iterdir()) == []


class Bench:
    """Export activities on one directory, and an export of a clip that lies there."""

    def __init__(self, database: Database, pool: MediaPool, folder: Path, ffmpeg: Path) -> None:
        self.clips = LocalClipStore(folder / "clips")
        self.activities = ExportActivities(
            database=database,
            segments=LocalSegmentStore(folder / "segments"),
            clips=self.clips,
            renderer=ExportRenderer(pool=pool, binary=ffmpeg, limits=FfmpegLimits()),
            scratch=folder / "scratch",
            store_patience=30.0,
        )
        film(folder / "clips" / "clip.mp4", seconds=2.0)
        self.spec = ExportSpec(
            id=uuid4(),
            tenant_id=uuid4(),
            source=ExportSource(stream_id=uuid4(), clip_key="clip.mp4", start=0.0, end=2.0),
            renditions=(RenditionSpec.model_validate({"format": "mp4", "aspect": "1:1"}),),
        )

    async def render(self) -> Sequence[RenderedRendition]:
        request = RenderExportInput(spec=self.spec, numbers=(1,))
        made = await ActivityEnvironment().run(self.activities.render_export, request)
        return made.renditions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "refusal",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        S3UnreachableError("S3 cannot be reached.", "Check the network."),
    ],
)
async def test_a_finished_file_waits_for_a_store_that_is_full_or_away(
    *,
    database: Database,
    media_pool: MediaPool,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    refusal: OSError,
) -> None:
    bench = Bench(database, media_pool, folder, find_ffmpeg())
    put, refusals, rendered = bench.clips.put, [refusal, refusal], []

    async def put_later(key: str, source: Path) -> None:
        rendered.append(source)
        if refusals:
            raise refusals.pop()
        await put(key, source)

    monkeypatch.setattr(bench.clips, "put", put_later)
    (made,) = await bench.render()
    assert made.message == ""
    assert len(rendered) == 3
    assert len(set(rendered)) == 1  # rendered once
    assert (folder / "clips" / bench.spec.key(1)).stat().st_size == made.size


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("kill -9 $$", "encoder_killed", "Ask for fewer or smaller renditions"),
        ("echo 'av_interleaved_write_frame(): No space left on device' >&2; exit 1", *DISK_FULL),
    ],
)
async def test_an_export_says_what_kept_the_encoder_from_its_work_and_can_be_retried(
    *,
    database: Database,
    media_pool: MediaPool,
    folder: Path,
    script: str,
    code: str,
    words: str,
) -> None:
    ffmpeg = folder / "ffmpeg"
    ffmpeg.write_text(f"#!/bin/sh\n{script}\n")
    ffmpeg.chmod(0o700)
    with pytest.raises(ApplicationError, match=words) as failure:
        await Bench(database, media_pool, folder, ffmpeg).render()
    assert (failure.value.type, failure.value.non_retryable) == (code, False)
    assert list((folder / "scratch").iterdir()) == []


async def test_an_export_says_that_the_store_of_its_source_is_away(
    database: Database, media_pool: MediaPool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(database, media_pool, folder, find_ffmpeg())

    async def away(*_: object) -> Path:
        raise S3UnreachableError("S3 cannot be reached.", "Check the network.")

    monkeypatch.setattr(bench.clips, "fetch", away)
    with pytest.raises(ApplicationError, match="does not respond") as failure:
        await bench.render()
    assert (failure.value.type, failure.value.non_retryable) == ("store_unavailable", False)
