"""Records reach the tenant's rows, and writing them again changes nothing."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.records import RecordActivities
from domain.clip import ClipStatus
from domain.records import StreamRecord
from domain.stream import EndReason, StreamEnd, StreamProgress, StreamStatus
from infra.database import Database
from infra.repositories import clips, highlights, streams
from infra.repositories.errors import RecordMissingError
from infra.schema import Stream
from tests.integration.rows import clip_record, new_highlight, new_stream
from tests.unit.domain.clip_cases import gap
from workflows.steps import RECORD_MISSING


@pytest.fixture
def records(database: Database) -> RecordActivities:
    return RecordActivities(database)


@pytest.fixture
async def stream(database: Database, tenant: UUID) -> UUID:
    return await new_stream(database, tenant)


async def row(database: Database, tenant: UUID, stream: UUID) -> Stream:
    async with database.session(tenant) as session:
        found = await streams.get(session, tenant_id=tenant, stream_id=stream)
    assert found is not None
    return found


async def write(records: RecordActivities, record: StreamRecord) -> None:
    await ActivityEnvironment().run(records.record_stream, record)


async def test_a_stream_is_written_with_its_gaps_once_however_often(
    database: Database, records: RecordActivities, tenant: UUID, stream: UUID
) -> None:
    progress = StreamProgress(status=StreamStatus.LIVE, position=12.0, segments=4, missed=2)
    gaps = (gap(2.0, 2.0, first=1), gap(8.0, 2.0, first=4))
    record = StreamRecord(tenant_id=tenant, stream_id=stream, progress=progress, gaps=gaps)
    for _ in range(2):
        await write(records, record)
    found = await row(database, tenant, stream)
    assert (found.status, found.position, found.missed) == ("live", 12.0, 2)
    async with database.session(tenant) as session:
        written = await streams.gaps(session, tenant_id=tenant, stream_id=stream)
    assert [each.start for each in written] == [2.0, 8.0]


async def test_a_late_write_does_not_bring_an_ended_stream_back(
    database: Database, records: RecordActivities, tenant: UUID, stream: UUID
) -> None:
    end = StreamEnd(reason=EndReason.STOPPED, message="stopped")
    last = StreamProgress(status=StreamStatus.COMPLETED, position=60.0, end=end)
    for progress in (last, StreamProgress(status=StreamStatus.LIVE, position=30.0)):
        await write(records, StreamRecord(tenant_id=tenant, stream_id=stream, progress=progress))
    found = await row(database, tenant, stream)
    assert (found.status, found.position, found.end_reason) == ("completed", 60.0, "stopped")


async def test_a_stream_that_was_deleted_is_an_error_that_workflows_know(
    records: RecordActivities, tenant: UUID
) -> None:
    record = StreamRecord(tenant_id=tenant, stream_id=uuid4(), progress=StreamProgress())
    with pytest.raises(RecordMissingError) as raised:
        await write(records, record)
    assert type(raised.value).__name__ == RECORD_MISSING


async def test_another_tenants_stream_is_not_written(
    database: Database, records: RecordActivities, tenant: UUID, other_tenant: UUID, stream: UUID
) -> None:
    progress = StreamProgress(status=StreamStatus.LIVE, position=99.0)
    record = StreamRecord(tenant_id=other_tenant, stream_id=stream, progress=progress)
    with pytest.raises(RecordMissingError):
        await write(records, record)
    assert (await row(database, tenant, stream)).position == 0.0


async def test_a_clip_goes_from_rendering_to_ready_whatever_is_repeated(
    database: Database, records: RecordActivities, tenant: UUID, stream: UUID
) -> None:
    highlight = await new_highlight(database, tenant, stream)
    steps = [ClipStatus.RENDERING, ClipStatus.READY, ClipStatus.READY, ClipStatus.RENDERING]
    for status in steps:
        record = clip_record(tenant, stream, highlight, status=status)
        await ActivityEnvironment().run(records.record_clip, record)
    async with database.session(tenant) as session:
        found = await clips.get(session, tenant_id=tenant, clip_id=record.spec.id)
    assert found is not None
    assert (found.status, found.revision) == ("ready", 2)


async def test_the_last_record_of_a_stream_ends_its_highlights_with_its_media(
    database: Database, records: RecordActivities, tenant: UUID, stream: UUID
) -> None:
    highlight = await new_highlight(database, tenant, stream)
    async with database.session(tenant) as session:
        before = await highlights.get(session, tenant_id=tenant, highlight_id=highlight)
    assert before is not None
    end = (before.peak + before.end) / 2
    await write(
        records,
        StreamRecord(tenant_id=tenant, stream_id=stream, progress=StreamProgress(), media_end=end),
    )
    async with database.session(tenant) as session:
        after = await highlights.get(session, tenant_id=tenant, highlight_id=highlight)
    assert after is not None
    assert (after.start, after.peak, after.end) == (before.start, before.peak, end)
    assert after.clip_end <= end
