"""A worker that is killed in the middle of an export costs nothing but time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client

from app.dev.postgres import DatabaseUrls
from app.dev.temporal import TemporalServer
from domain import task_queues
from domain.exports.models import (
    ExportInput,
    ExportSource,
    ExportSpec,
    ExportStatus,
    ExportTiming,
    RenditionSpec,
)
from domain.ids import export_workflow_id
from infra.db.engine import Database
from infra.db.repositories import exports
from infra.db.tables import Export
from infra.storage import s3
from infra.storage.clips import LocalClipStore
from infra.storage.scratch import sweep_scratch
from infra.storage.segments import LocalSegmentStore
from tests.factories.film import film
from tests.fakes.export_worker import ExportPlace, Until, doomed_worker, recording, rendering
from tests.fakes.s3_server import S3Server
from workflows.export import ExportWorkflow

pytestmark = pytest.mark.timeout(180)
PATIENCE = 60.0
RENDITIONS = (
    RenditionSpec.model_validate({"format": "mp4", "aspect": "1:1"}),
    RenditionSpec.model_validate({"format": "thumbnail"}),
)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not reached():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


def files_below(root: Path) -> set[Path]:
    return {each for each in root.rglob("*") if each.is_file()}


def has_begun(place: ExportPlace, stage: Until) -> bool:
    """Return True once a worker has a part of a file at the step where it stays."""
    if stage is Until.RENDERING:
        return any(place.scratch.glob("*/encoded*"))
    assert isinstance(place.clips, Path)
    return len(list((place.clips / ".partial").glob("*"))) == 1 and any(
        place.clips.rglob("exports/*/1.mp4")
    )


async def export_of(database: Database, tenant: UUID, stream: UUID) -> ExportSpec:
    """The row of an export of the clip `{tenant}/clip.mp4`."""
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=tenant,
        source=ExportSource(stream_id=stream, clip_key=f"{tenant}/clip.mp4", start=0.0, end=4.0),
        renditions=RENDITIONS,
    )
    async with database.session(tenant) as session:
        await exports.create(session, spec)
    return spec


async def row_of(database: Database, spec: ExportSpec) -> Export:
    async with database.session(spec.tenant_id) as session:
        row = await exports.get(session, tenant_id=spec.tenant_id, export_id=spec.id)
    assert row is not None
    return row


@pytest.mark.parametrize("stage", list(Until))
async def test_the_export_is_made_once_and_nothing_is_left(
    *,
    temporal_client: Client,
    temporal_server: TemporalServer,
    postgres: DatabaseUrls,
    database: Database,
    tenant: UUID,
    stream: UUID,
    tmp_path: Path,
    stage: Until,
) -> None:
    place = ExportPlace(
        temporal_server.address, postgres.application, tmp_path / "clips", tmp_path / "scratch"
    )
    clip = tmp_path / "clips" / str(tenant) / "clip.mp4"
    clip.parent.mkdir(parents=True)
    film(clip, seconds=4.0)
    spec = await export_of(database, tenant, stream)
    async with recording(temporal_client, database, tmp_path / "unused"):
        with doomed_worker(place, stage) as worker:
            handle = await temporal_client.start_workflow(
                ExportWorkflow.run,
                ExportInput(spec=spec, timing=ExportTiming(heartbeat_timeout=5.0)),
                id=export_workflow_id(tenant_id=tenant, export=spec.id),
                task_queue=task_queues.ORCHESTRATION,
            )
            await until(lambda: has_begun(place, stage))
            worker.kill()
        row = await row_of(database, spec)
        assert (row.status, exports.results_of(row)) == (ExportStatus.RUNNING, {})
        async with rendering(
            temporal_client,
            database,
            segments=LocalSegmentStore(tmp_path / "unused"),
            clips=LocalClipStore(tmp_path / "clips"),
            scratch=place.scratch,
        ):
            async with asyncio.timeout(PATIENCE):
                assert await handle.result() is ExportStatus.READY
    row = await row_of(database, spec)
    assert row.status == ExportStatus.READY
    keys = {each.key for each in exports.results_of(row).values()}
    assert keys == {spec.key(1), spec.key(2)}
    # As the next worker on the machine does when it starts.
    await asyncio.sleep(1.1)  # a new file is taken for locked
    sweep_scratch(place.scratch)
    clips = tmp_path / "clips"
    LocalClipStore(clips).sweep()
    assert files_below(clips) == {clip, *(clips / str(key) for key in keys)}
    assert files_below(place.scratch) == set()


async def test_an_upload_in_parts_that_was_cut_off_is_neither_seen_nor_left_in_s3(
    *,
    temporal_client: Client,
    temporal_server: TemporalServer,
    postgres: DatabaseUrls,
    database: Database,
    tenant: UUID,
    stream: UUID,
    tmp_path: Path,
    s3_server: S3Server,
    s3_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3, "_MULTIPART_FROM", 1)
    place = ExportPlace(
        temporal_server.address, postgres.application, s3_bucket, tmp_path / "scratch"
    )
    client = s3_server.client()

    def unfinished() -> list[str]:
        return [
            each["Key"]
            for each in client.list_multipart_uploads(Bucket=s3_bucket).get("Uploads", ())
            if client.list_parts(Bucket=s3_bucket, Key=each["Key"], UploadId=each["UploadId"]).get(
                "Parts"
            )
        ]

    def stored() -> set[str]:
        found = client.list_objects_v2(Bucket=s3_bucket).get("Contents", ())
        return {each["Key"] for each in found}

    client.upload_file(
        str(film(tmp_path / "clip.mp4", seconds=4.0)), s3_bucket, f"{tenant}/clip.mp4"
    )
    spec = await export_of(database, tenant, stream)
    async with recording(temporal_client, database, tmp_path / "unused"):
        with doomed_worker(place, Until.UPLOADING) as worker:
            handle = await temporal_client.start_workflow(
                ExportWorkflow.run,
                ExportInput(spec=spec, timing=ExportTiming(heartbeat_timeout=5.0)),
                id=export_workflow_id(tenant_id=tenant, export=spec.id),
                task_queue=task_queues.ORCHESTRATION,
            )
            await until(lambda: unfinished() == [spec.key(1)])
            worker.kill()
        assert stored() == {f"{tenant}/clip.mp4"}
        async with (
            place.open_clips() as clips,
            rendering(
                temporal_client,
                database,
                segments=LocalSegmentStore(tmp_path / "unused"),
                clips=clips,
                scratch=place.scratch,
            ),
        ):
            async with asyncio.timeout(PATIENCE):
                assert await handle.result() is ExportStatus.READY
    row = await row_of(database, spec)
    keys = {str(each.key) for each in exports.results_of(row).values()}
    assert stored() == {f"{tenant}/clip.mp4", *keys}
    assert unfinished() == []
