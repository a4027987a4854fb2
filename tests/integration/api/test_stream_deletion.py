"""A stream is deleted with everything that was made of it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError

from domain.clips.models import ClipStatus
from domain.ids import stream_workflow_id
from domain.streams.messages import StreamRecord
from domain.streams.status import StreamProgress, StreamStatus
from infra.db.engine import Database
from infra.db.repositories import clips, highlights, streams
from tests.factories.rows import new_clip, new_highlight, new_stream, used
from tests.integration.api.conftest import Account


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    """A stream that is over."""
    made = await new_stream(database, account.tenant_id)
    progress = StreamProgress(status=StreamStatus.COMPLETED, analyzed=60.0)
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(
            session,
            StreamRecord(tenant_id=account.tenant_id, stream_id=made, progress=progress),
        )
    return made


def files_of(clip_root: Path, *, tenant: UUID, stream: UUID, clip: UUID) -> list[Path]:
    directory = clip_root / str(tenant) / str(stream)
    directory.mkdir(parents=True)
    files = [directory / f"{clip}.mp4", directory / f"{clip}.jpg"]
    for file in files:
        file.write_bytes(b"x")
    return files


async def test_rows_and_files_go_and_what_was_used_stays(
    account: Account, database: Database, stream: UUID, clip_root: Path
) -> None:
    tenant = account.tenant_id
    highlight = await new_highlight(database, tenant, stream)
    clip = await new_clip(database, tenant, stream, highlight)
    files = files_of(clip_root, tenant=tenant, stream=stream, clip=clip)
    before = await used(database, tenant)
    assert (await account.http.delete(f"/v1/streams/{stream}")).status_code == 204
    for path in (f"streams/{stream}", f"highlights/{highlight}", f"clips/{clip}"):
        assert (await account.http.get(f"/v1/{path}")).status_code == 404
    assert not any(file.exists() for file in files)
    assert await used(database, tenant) == before != {}


async def test_a_second_deletion_finds_nothing(account: Account, stream: UUID) -> None:
    assert (await account.http.delete(f"/v1/streams/{stream}")).status_code == 204
    assert (await account.http.delete(f"/v1/streams/{stream}")).status_code == 404


async def test_files_that_are_gone_already_do_not_matter(
    account: Account, database: Database, stream: UUID
) -> None:
    highlight = await new_highlight(database, account.tenant_id, stream)
    await new_clip(database, account.tenant_id, stream, highlight)
    await new_clip(database, account.tenant_id, stream, highlight, status=ClipStatus.DELETED)
    assert (await account.http.delete(f"/v1/streams/{stream}")).status_code == 204


async def test_a_running_stream_is_cancelled(account: Account, workflows: Client) -> None:
    body = {"url": "https://cdn.example.com/live/master.m3u8"}
    made = (await account.http.post("/v1/streams/analyze", json=body)).json()
    assert (await account.http.delete(f"/v1/streams/{made['id']}")).status_code == 204
    handle = workflows.get_workflow_handle(
        stream_workflow_id(tenant_id=account.tenant_id, stream_id=UUID(made["id"]))
    )
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_stream_that_nothing_follows_can_be_deleted(
    account: Account, database: Database, temporal_client: Client
) -> None:
    orphan = await new_stream(database, account.tenant_id)
    assert (await account.http.delete(f"/v1/streams/{orphan}")).status_code == 204


async def test_other_streams_stay(account: Account, database: Database, stream: UUID) -> None:
    tenant = account.tenant_id
    other = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, other)
    clip = await new_clip(database, tenant, other, highlight)
    await account.http.delete(f"/v1/streams/{stream}")
    async with database.session(tenant) as session:
        assert await streams.get(session, tenant_id=tenant, stream_id=other)
        assert await highlights.get(session, tenant_id=tenant, highlight_id=highlight)
        assert await clips.get(session, tenant_id=tenant, clip_id=clip)
