"""Exports of a clip that lies in S3, into S3."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from activities.exports import ExportActivities
from domain.exports.models import ExportSource, ExportSpec, RenderExportInput, RenditionSpec
from infra.db.engine import Database
from infra.media.exports.renderer import ExportRenderer
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.storage.clips import S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.segments import LocalSegmentStore
from tests.factories.film import film, pictures

pytestmark = pytest.mark.timeout(120)


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
