"""Batches over the API: asked for by filter and ids, made of real media, and downloaded."""

from __future__ import annotations

import asyncio
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.export_batches import ExportBatchActivities
from activities.exports import ExportActivities
from app.worker import workflow_runner
from domain import task_queues
from domain.clips.models import ClipStatus
from domain.exports.batches import BatchRef, NextExportsInput
from domain.exports.models import ExportRecord, ExportStatus, RenderedRendition
from domain.highlights.selection import DecisionStatus
from domain.ids import batch_export_id
from domain.tenants.usage import PLANS, PlanName
from infra.db.engine import Database
from infra.db.errors import BatchRunningError, RecordMissingError
from infra.db.repositories import events, exports
from infra.media.exports.renderer import ExportRenderer
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.storage.clips import LocalClipStore
from infra.storage.segments import LocalSegmentStore
from tests.factories.film import film
from tests.factories.rows import new_clip, new_export_batch, new_highlight, new_stream
from tests.integration.api.conftest import Account
from tests.integration.api.problems import assert_problem
from workflows.export import ExportWorkflow
from workflows.export_batch import ExportBatchWorkflow

pytestmark = pytest.mark.timeout(120)
AUDIO = [{"format": "audio"}]


@pytest.fixture
async def stream(account: Account, database: Database, clip_root: Path) -> UUID:
    """A stream with two highlights whose clips are ready, and one without a clip."""
    tenant = account.tenant_id
    made = await new_stream(database, tenant)
    directory = clip_root / str(tenant) / str(made)
    directory.mkdir(parents=True)
    for peak, title, score in ((60.0, "Tor: 1/0 🏆", 0.9), (120.0, "Save", 0.6)):
        highlight = await new_highlight(
            database, tenant, made, peak=peak, title=title, score=score, tags=(title[0],)
        )
        clip = await new_clip(database, tenant, made, highlight)
        film(directory / f"{clip}.mp4", seconds=10.0)
    await new_highlight(database, tenant, made, peak=180.0, title="No clip")
    pending = DecisionStatus.PENDING
    await new_highlight(database, tenant, made, peak=240.0, title="Pending", status=pending)
    return made


async def ask(account: Account, **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    return await account.http.post("/v1/export-batches", json={"renditions": AUDIO} | body)


async def finished(account: Account, batch_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60.0):
        while True:
            path = f"/v1/export-batches/{batch_id}"
            found: dict[str, Any] = (await account.http.get(path)).json()
            if found["status"] not in {"queued", "running"}:
                return found
            await asyncio.sleep(0.1)


async def test_a_batch_is_made_and_downloaded_as_one_file(
    *,
    account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    stream: UUID,
    clip_root: Path,
    tmp_path: Path,
    temporal_client: Client,
) -> None:
    async with MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=60.0) as pool:
        steps = ExportActivities(
            database=database,
            segments=LocalSegmentStore(tmp_path / "segments"),
            clips=LocalClipStore(clip_root),
            renderer=ExportRenderer(pool=pool, binary=find_ffmpeg(), limits=FfmpegLimits()),
        )
        batches = ExportBatchActivities(database)
        async with (
            Worker(
                temporal_client,
                task_queue=task_queues.ORCHESTRATION,
                workflows=[ExportWorkflow, ExportBatchWorkflow],
                workflow_runner=workflow_runner(),
            ),
            Worker(
                temporal_client,
                task_queue=task_queues.IO,
                activities=[
                    *(steps.record_export, batches.start_export_batch),
                    *(batches.next_exports, batches.finish_export_batch),
                ],
            ),
            Worker(
                temporal_client,
                task_queue=task_queues.RENDER,
                activities=[steps.render_export, steps.delete_export],
            ),
        ):
            response = await ask(account, filter={"stream_id": str(stream)})
            assert response.status_code == 201, response.text
            asked = response.json()
            assert response.headers["Location"] == f"/v1/export-batches/{asked['id']}"
            assert (asked["status"], asked["exports"], asked["queued"]) == ("queued", 2, 2)
            found = await finished(account, asked["id"])
    assert (found["status"], found["ready"], found["message"]) == ("ready", 2, "")
    path = f"/v1/export-batches/{asked['id']}"
    manifest = (await account.http.get(f"{path}/manifest")).json()
    names = [each["name"] for each in manifest["files"]]
    assert names == ["0001 Tor 1 0 🏆 1.m4a", "0002 Save 1.m4a"]
    content = await anonymous.get(found["zip_url"])
    assert content.headers["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(content.content))
    assert archive.testzip() is None
    assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
    sizes = {each.filename: each.file_size for each in archive.infolist()}
    assert sizes == {each["name"]: each["size"] for each in manifest["files"]}
    listed = (await account.http.get("/v1/exports", params={"batch_id": asked["id"]})).json()
    assert {each["batch_id"] for each in listed["data"]} == {asked["id"]}
    assert [each["status"] for each in listed["data"]] == ["ready", "ready"]
    async with database.session(account.tenant_id) as session:
        waiting = await events.undispatched(session, tenant_id=account.tenant_id)
    assert [each.type for each in waiting if each.type.startswith("export")] == [
        *("export.ready", "export.ready", "export_batch.finished"),
    ]


async def test_a_filter_takes_the_best_with_one_of_the_tags(account: Account, stream: UUID) -> None:
    async def chosen(**criteria: object) -> int:
        response = await ask(account, filter={"stream_id": str(stream)} | criteria)
        if response.status_code == 409:
            assert_problem(response, 409, "nothing_to_export")
            return 0
        await account.http.post(f"/v1/export-batches/{response.json()['id']}/cancel")
        found: int = response.json()["exports"]
        return found

    assert await chosen() == 2
    assert await chosen(limit=1) == 1
    assert await chosen(tags=["T", "x"]) == 1
    assert await chosen(tags=["T", "S"]) == 2
    assert await chosen(tags=["x"]) == 0
    assert await chosen(min_score=0.8) == 1
    assert await chosen(**{"from": 100.0, "to": 130.0}) == 1


async def test_a_canceled_batch_is_resumed(account: Account, stream: UUID) -> None:
    asked = (await ask(account, filter={"stream_id": str(stream)})).json()
    path = f"/v1/export-batches/{asked['id']}"
    for _ in range(2):
        cancelled = (await account.http.post(f"{path}/cancel")).json()
        assert (cancelled["status"], cancelled["queued"]) == ("cancelled", 2)
    resumed = (await account.http.post(f"{path}/resume")).json()
    assert (resumed["status"], resumed["message"]) == ("queued", "")


async def test_a_batch_ends_after_the_exports_that_it_began(
    account: Account, database: Database, stream: UUID
) -> None:
    tenant = account.tenant_id
    batch = BatchRef(tenant_id=tenant, batch_id=await new_export_batch(database, tenant, stream))
    export_id = batch_export_id(batch=batch.batch_id, number=1)

    async def record(status: ExportStatus) -> None:
        async with database.session(tenant) as session:
            await exports.record_export(
                session, ExportRecord(tenant_id=tenant, export_id=export_id, status=status)
            )

    async def finish() -> None:
        async with database.session(tenant) as session:
            await exports.finish_batch(session, batch)

    await record(ExportStatus.RUNNING)
    with pytest.raises(BatchRunningError):
        await finish()
    await record(ExportStatus.READY)
    await finish()
    found = (await account.http.get(f"/v1/export-batches/{batch.batch_id}")).json()
    assert (found["status"], found["ready"]) == ("ready", 1)


async def test_a_deleted_batch_leaves_no_export_and_no_file(
    account: Account, database: Database, stream: UUID, clip_root: Path
) -> None:
    tenant = account.tenant_id
    batch = await new_export_batch(database, tenant, stream, exports_in_it=3)
    async with database.session(tenant) as session:
        first, *_ = await exports.exports_of_batch(session, tenant_id=tenant, batch_id=batch)
        key = exports.spec_of(first).key(1)
        made = RenderedRendition(number=1, key=key, size=1, ready_at=datetime.now(UTC))
        record = ExportRecord(
            tenant_id=tenant, export_id=first.id, status=ExportStatus.READY, renditions=(made,)
        )
        await exports.record_export(session, record)
    file = clip_root / key
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    path = f"/v1/export-batches/{batch}"
    assert (await account.http.delete(path)).status_code == 204
    assert not file.exists()
    assert (await account.http.get(f"/v1/exports/{first.id}")).status_code == 404
    assert_problem(await account.http.delete(path), 404, "export_batch_not_found")


async def test_named_highlights_must_exist_and_be_ready(
    account: Account, other_account: Account, database: Database, stream: UUID
) -> None:
    assert_problem(await ask(account, highlight_ids=[str(uuid4())]), 404, "highlight_not_found")
    highlight = await new_highlight(database, account.tenant_id, stream, peak=300.0)
    await new_clip(database, account.tenant_id, stream, highlight, status=ClipStatus.RENDERING)
    refused = await ask(account, highlight_ids=[str(highlight)])
    assert_problem(refused, 409, "source_not_ready")
    assert str(highlight) in refused.json()["detail"]
    theirs = await ask(other_account, highlight_ids=[str(highlight)])
    assert_problem(theirs, 404, "highlight_not_found")


async def test_a_plan_limits_batches_and_their_size(
    account: Account, database: Database, stream: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = PLANS[PlanName.FREE].model_copy(update={"exports_per_batch": 1})
    everyone = dict.fromkeys(PlanName, small)
    monkeypatch.setattr("infra.db.repositories.exports.PLANS", everyone)
    refused = await ask(account, filter={"stream_id": str(stream)})
    assert_problem(refused, 409, "export_quota_exceeded")
    assert "Set `limit`" in refused.json()["detail"]
    await new_export_batch(database, account.tenant_id, stream)
    full = await ask(account, filter={"stream_id": str(stream), "limit": 1})
    assert_problem(full, 409, "export_quota_exceeded")


async def test_the_same_request_makes_one_batch(account: Account, stream: UUID) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"renditions": AUDIO, "filter": {"stream_id": str(stream)}}
    made = [
        (await account.http.post("/v1/export-batches", json=body, headers=key)).json()["id"]
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert len((await account.http.get("/v1/export-batches")).json()["data"]) == 1


async def test_only_a_signed_link_opens_the_zip(
    anonymous: httpx.AsyncClient, account: Account, other_account: Account, stream: UUID
) -> None:
    asked = (await ask(account, filter={"stream_id": str(stream)})).json()
    url = asked["zip_url"]
    assert (await anonymous.get(url)).status_code == 200
    other = url.replace(str(account.tenant_id), str(other_account.tenant_id))
    assert_problem(await anonymous.get(other), 403, "invalid_signature")


async def test_an_export_that_was_canceled_before_its_turn_is_not_made(
    account: Account, database: Database, stream: UUID
) -> None:
    tenant = account.tenant_id
    batch = await new_export_batch(database, tenant, stream)
    listed = await account.http.get("/v1/exports", params={"batch_id": str(batch)})
    (export,) = listed.json()["data"]
    cancelled = await account.http.post(f"/v1/exports/{export['id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    ref = BatchRef(tenant_id=tenant, batch_id=batch)
    started = ExportRecord(
        tenant_id=tenant, export_id=UUID(export["id"]), status=ExportStatus.RUNNING
    )
    async with database.session(tenant) as session:
        found = await exports.next_exports(session, NextExportsInput(batch=ref, limit=9))
        assert found.items == ()
        with pytest.raises(RecordMissingError):  # so its workflow deletes what it stored
            await exports.record_export(session, started)
