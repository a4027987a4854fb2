"""Deletions over the API, with a worker: what is proved of them, and what holds against them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from temporalio.client import Client
from temporalio.worker import Worker

from activities.deletions import DeletionActivities
from app.container import Container
from app.services.clips import MediaRetention
from app.services.deletions import DeletionUnfinishedError
from app.worker import workflow_runner
from demo.origin.server import bind, serving
from domain import task_queues
from domain.highlights.selection import DecisionStatus
from domain.ids import deletion_workflow_id, stream_workflow_id
from domain.streams.deletion import DeletionProof
from domain.streams.messages import MediaRelease, StreamRecord
from domain.streams.status import StreamProgress, StreamStatus
from domain.tenants.keys import Scope
from domain.tenants.retention import RecordKind
from infra.db.engine import Database
from infra.db.repositories import streams, tenants
from infra.db.tables import Stream
from infra.settings import Settings
from infra.storage.cdn_invalidation import CdnError, CloudFrontInvalidator
from tests.factories.rows import new_clip, new_export, new_highlight, new_stream
from tests.fakes.cloudfront import CloudFrontControl
from tests.integration.api.conftest import Account, NewAccount
from tests.integration.api.problems import assert_problem
from workflows.deletion import DeletionWorkflow

pytestmark = pytest.mark.timeout(90)
EXPORT = "exports/e/1.mp4"


@pytest.fixture
async def stream(account: Account, database: Database, clip_root: Path, segment_root: Path) -> UUID:
    """A stream that is over, with a clip, an export, three files and two media objects."""
    tenant = account.tenant_id
    made = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, made)
    clip = await new_clip(database, tenant, made, highlight)
    await new_export(database, tenant, made)
    for root, names in (
        (clip_root, (f"{clip}.mp4", f"{clip}.jpg", EXPORT)),
        (segment_root, ("media/720p/1.ts", "analysis/state.json")),
    ):
        for name in names:
            file = root / str(tenant) / str(made) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
    await end(database, tenant, made)
    return made


async def end(database: Database, tenant: UUID, stream: UUID) -> None:
    progress = StreamProgress(status=StreamStatus.COMPLETED, position=60.0)
    record = StreamRecord(tenant_id=tenant, stream_id=stream, progress=progress)
    async with database.session(tenant) as session:
        await streams.record_stream(session, record)


@pytest.fixture
async def worker(temporal_client: Client, settings: Settings) -> AsyncIterator[None]:
    """A worker that deletes streams."""
    async with Container(settings, client=temporal_client) as container:
        steps = DeletionActivities(container.services.deletions)
        async with (
            Worker(
                temporal_client,
                task_queue=task_queues.ORCHESTRATION,
                workflows=[DeletionWorkflow],
                workflow_runner=workflow_runner(),
            ),
            Worker(temporal_client, task_queue=task_queues.IO, activities=[steps.delete_stream]),
        ):
            yield


async def done(account: Account, path: str) -> dict[str, Any]:
    async with asyncio.timeout(60.0):
        while True:
            found: dict[str, Any] = (await account.http.get(path)).json()
            if found["status"] == "done":
                return found
            await asyncio.sleep(0.1)


def left(*roots: Path) -> list[Path]:
    return [each for root in roots for each in root.rglob("*") if each.is_file()]


def assert_proof(found: dict[str, Any]) -> None:
    assert found["rows"] == {
        "streams": 1,
        "highlights": 1,
        "clips": 1,
        "exports": 1,
        "gaps": 0,
        "windows": 0,
        "highlight_feedback": 0,
        "highlight_terms": found["rows"]["highlight_terms"],
        "highlight_words": found["rows"]["highlight_words"],
    }
    assert (found["files"], found["media"]) == (3, 2)
    assert found["rows_deleted_at"] < found["verified_at"]
    assert found["cdn_expires_at"] is None


@pytest.mark.usefixtures("worker")
async def test_a_deletion_is_proved_by_its_row_and_by_its_workflow(
    *,
    account: Account,
    stream: UUID,
    clip_root: Path,
    segment_root: Path,
    temporal_client: Client,
) -> None:
    body = {"stream_id": str(stream), "reason": "Request 4711"}
    response = await account.http.post("/v1/deletions", json=body)
    assert response.status_code == 202
    path = response.headers["Location"]
    found = await done(account, path)
    assert_proof(found)
    assert (found["stream_id"], found["reason"]) == (str(stream), "Request 4711")
    assert left(clip_root, segment_root) == []
    assert (await account.http.get(f"/v1/streams/{stream}")).status_code == 404
    name = deletion_workflow_id(tenant_id=account.tenant_id, stream_id=stream)
    proof = await temporal_client.get_workflow_handle(name, result_type=DeletionProof).result()
    assert (proof.files, proof.media) == (3, 2)
    again = await account.http.post("/v1/deletions", json=body)
    assert (again.json()["id"], again.json()["status"]) == (found["id"], "done")
    assert len((await account.http.get("/v1/deletions")).json()["data"]) == 1


async def test_deleting_a_stream_that_has_ended_is_proved_at_once(
    account: Account, stream: UUID, clip_root: Path, segment_root: Path
) -> None:
    response = await account.http.delete(f"/v1/streams/{stream}")
    found = (await account.http.get(response.headers["Location"])).json()
    assert found["status"] == "done"
    assert_proof(found)
    assert left(clip_root, segment_root) == []


async def test_the_deletion_of_a_running_stream_waits_for_its_workflow(
    account: Account,
    workflows: Client,
    settings: Settings,
    segment_root: Path,
    temporal_client: Client,
) -> None:
    body = {"url": "https://cdn.example.com/live/master.m3u8"}
    made = (await account.http.post("/v1/streams/analyze", json=body)).json()
    file = segment_root / str(account.tenant_id) / made["id"] / "media/720p/1.ts"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    response = await account.http.delete(f"/v1/streams/{made['id']}")
    assert response.status_code == 204
    async with Container(settings, client=temporal_client) as container:
        run = container.services.deletions.run
        async with asyncio.timeout(60.0):
            while True:
                try:
                    proof = await run(tenant_id=account.tenant_id, stream_id=UUID(made["id"]))
                    break
                except DeletionUnfinishedError:
                    await asyncio.sleep(0.1)
    handle = workflows.get_workflow_handle(
        stream_workflow_id(tenant_id=account.tenant_id, stream_id=UUID(made["id"]))
    )
    assert (await handle.describe()).close_time is not None
    assert (proof.media, proof.rows["streams"]) == (1, 1)
    assert left(segment_root) == []


@pytest.fixture
async def cloudfront(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CloudFrontControl]:
    """CloudFront's API, to which every client of it connects."""
    control, listener = CloudFrontControl("E1"), bind("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "owner")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "owner-secret")
    async with serving(control.app, listener):
        yield control


async def test_a_deletion_is_done_when_the_cdn_has_no_copy_and_names_the_invalidation(
    *,
    account: Account,
    database: Database,
    stream: UUID,
    settings: Settings,
    temporal_client: Client,
    cloudfront: CloudFrontControl,
) -> None:
    tenant = account.tenant_id
    behind_cdn = settings.model_copy(
        update={"clip_cdn_url": "https://cdn.test/clips", "clip_cdn_distribution_id": "E1"}
    )
    async with database.session(tenant) as session:
        row = await streams.request_deletion(
            session, tenant_id=tenant, stream_id=stream, reason="Request 4711"
        )
    async with Container(behind_cdn, client=temporal_client) as container:
        deletions = container.services.deletions
        with pytest.raises(DeletionUnfinishedError, match="a CDN still has it"):
            await deletions.run(tenant_id=tenant, stream_id=stream)
        path = f"/v1/deletions/{row.id}"
        assert (await account.http.get(path)).json()["status"] == "running"
        proof = await deletions.run(tenant_id=tenant, stream_id=stream)
    found = (await account.http.get(path)).json()
    assert (found["status"], found["cdn_expires_at"]) == ("done", None)
    assert found["cdn_invalidation_id"] == proof.cdn_invalidation_id == "I1"
    assert cloudfront.invalidations == {f"{row.id}-3": (f"/clips/{tenant}/{stream}/*",)}


async def test_a_distribution_that_is_not_ours_leaves_the_deletion_running_and_says_why(
    cloudfront: CloudFrontControl,
) -> None:
    cdn = CloudFrontInvalidator(distribution_id="E2", base_url="https://cdn.test")
    with pytest.raises(CdnError, match=r"E2 cannot be invalidated: .*NoSuchDistribution.* Check"):
        await cdn.invalidate("tenant/stream/", reference="1")
    assert cloudfront.invalidations == {}


@pytest.mark.parametrize("held", ["streams", "highlights"])
async def test_a_hold_refuses_deletion_until_it_is_lifted(
    account: Account, database: Database, stream: UUID, held: str, clip_root: Path
) -> None:
    listed = await account.http.get("/v1/highlights/list", params={"stream_id": str(stream)})
    identity = stream if held == "streams" else listed.json()["data"][0]["id"]
    path = f"/v1/{held}/{identity}"
    placed = await account.http.put(f"{path}/legal-hold", json={"reason": "Case 12"})
    assert placed.status_code == 200
    assert (await account.http.get(path)).json()["legal_hold"] == placed.json()
    assert_problem(await account.http.delete(f"/v1/streams/{stream}"), 409, "legal_hold")
    body = {"stream_id": str(stream)}
    assert_problem(await account.http.post("/v1/deletions", json=body), 409, "legal_hold")
    assert len(left(clip_root)) == 3
    changed = await account.http.put(f"{path}/legal-hold", json={"reason": "Case 13"})
    assert changed.json() == placed.json() | {"reason": "Case 13"}
    assert (await account.http.delete(f"{path}/legal-hold")).status_code == 204
    assert (await account.http.delete(f"/v1/streams/{stream}")).status_code == 204


async def test_a_hold_keeps_media_and_records(
    account: Account, database: Database, stream: UUID
) -> None:
    tenant = account.tenant_id
    hidden = await new_highlight(
        database, tenant, stream, peak=120.0, status=DecisionStatus.REJECTED
    )
    retention = MediaRetention(database, seconds=60.0, recording_seconds=60.0)
    release = MediaRelease(tenant_id=tenant, stream_id=stream, before=30.0)
    over = update(Stream).where(Stream.id == stream)
    async with database.session(tenant) as session:
        await session.execute(over.values(media_until=datetime.now(UTC) - timedelta(hours=1)))
    for is_held in (True, False):
        path = f"/v1/highlights/{hidden}/legal-hold"
        if is_held:
            await account.http.put(path, json={"reason": "Case 12"})
        else:
            await account.http.delete(path)
        assert (await retention.limited(release) is None) == is_held
        async with database.session(tenant) as session:
            expired = await streams.with_expired_media(session, tenant_id=tenant, limit=9)
            deleted = await tenants.delete_expired(
                session,
                tenant_id=tenant,
                kind=RecordKind.HIDDEN_HIGHLIGHTS,
                age=timedelta(0),
                limit=9,
            )
        assert (expired == []) == is_held
        assert (deleted == 0) == is_held


async def test_nothing_of_a_stream_that_is_being_deleted_can_be_held(
    account: Account, database: Database, stream: UUID
) -> None:
    async with database.session(account.tenant_id) as session:
        await streams.request_deletion(
            session, tenant_id=account.tenant_id, stream_id=stream, reason=""
        )
    path = f"/v1/streams/{stream}/legal-hold"
    response = await account.http.put(path, json={"reason": "late"})
    assert_problem(response, 409, "deletion_in_progress")


async def test_only_an_admin_key_places_holds(new_account: NewAccount) -> None:
    writer = await new_account(Scope.READ, Scope.WRITE)
    path = "/v1/streams/0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11/legal-hold"
    assert (await writer.http.put(path, json={"reason": "x"})).status_code == 403
    assert (await writer.http.delete(path)).status_code == 403


async def test_another_tenant_cannot_delete_the_stream(
    other_account: Account, stream: UUID, clip_root: Path
) -> None:
    body = {"stream_id": str(stream)}
    response = await other_account.http.post("/v1/deletions", json=body)
    assert_problem(response, 404, "stream_not_found")
    assert len(left(clip_root)) == 3
