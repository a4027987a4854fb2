"""Records reach the tenant's rows, and writing them again changes nothing."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from pydantic_core import PydanticSerializationError
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.records import RecordActivities
from domain.clips.models import ClipStatus
from domain.streams.messages import StreamRecord, WindowRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from infra.db.engine import Database, UnstorableValueError
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, highlights, streams
from infra.db.tables import Stream
from tests.factories.clips import gap
from tests.factories.rows import clip_record, new_highlight
from workflows.steps import RECORD_MISSING, UNTIL_DONE


@pytest.fixture
def records(database: Database) -> RecordActivities:
    return RecordActivities(database)


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


async def test_what_no_text_or_number_of_the_database_holds_does_not_fail_the_record(
    database: Database, records: RecordActivities, tenant: UUID, stream: UUID
) -> None:
    lost = gap(2.0, 2.0).model_copy(
        update={"first_sequence": 2**63, "last_sequence": 2**70, "detail": "cut \ud83d\x00 here"}
    )
    progress = StreamProgress.model_construct(
        **StreamProgress(status=StreamStatus.LIVE, position=4.0).model_dump(exclude={"notice"}),
        notice="half \udc00",
    )
    record = StreamRecord.model_construct(
        tenant_id=tenant, stream_id=stream, progress=progress, gaps=(lost,), windows=()
    )
    await records.record_stream(record)
    async with database.session(tenant) as session:
        (written,) = await streams.gaps(session, tenant_id=tenant, stream_id=stream)
    assert (written.first_sequence, written.last_sequence) == (2**63 - 1, 2**63 - 1)
    assert written.detail == "cut \ufffd here"
    assert (await row(database, tenant, stream)).notice == "half \ufffd"


async def test_a_record_that_cannot_be_written_ends_its_stream_with_the_reason(
    database: Database, records: RecordActivities, tenant: UUID, stream: UUID
) -> None:
    progress = StreamProgress(status=StreamStatus.LIVE, position=1e30, analyzed=1e30)
    window = WindowRecord(index=0, start=0.0, end=1e30, segments=1, size=1, analyzed_seconds=1e30)
    record = StreamRecord(tenant_id=tenant, stream_id=stream, progress=progress, windows=(window,))
    with pytest.raises(UnstorableValueError):
        await write(records, record)
    found = await row(database, tenant, stream)
    assert (found.status, found.end_reason, found.position) == ("failed", "internal", 0.0)
    assert found.end_message


def test_what_fails_alike_each_time_is_not_tried_again() -> None:
    final = UNTIL_DONE.non_retryable_error_types or ()
    for error in (UnstorableValueError, UnicodeEncodeError, PydanticSerializationError):
        assert error.__name__ in final


async def test_documents_in_columns_are_stored_without_what_json_does_not_know(
    database: Database, tenant: UUID
) -> None:
    identity = uuid4()
    options = {"a\x00\ud800": ["\udfff", float("nan"), 1.5]}
    async with database.session(tenant) as session:
        await streams.create(
            session,
            tenant_id=tenant,
            stream_id=identity,
            playlist_url="https://example.com/x.m3u8",
            game="soccer",
            profile_id="soccer",
            profile_version="1",
            title="Cup \ud800",
            options=options,
        )
    found = await row(database, tenant, identity)
    assert (found.title, found.options) == ("Cup \ufffd", {"a\ufffd": ["\ufffd", None, 1.5]})


async def test_a_statement_whose_work_is_cancelled_is_cancelled_in_the_database(
    database: Database, tenant: UUID
) -> None:
    async def search() -> None:
        async with database.session(tenant) as session:
            await session.execute(text("SELECT pg_sleep(25) /* abandoned */"))

    async def running() -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE :q"
        async with database.session(tenant) as session:
            return int(await session.scalar(text(query), {"q": "%/* abandoned */%"}) or 0)

    async def comes_to(count: int) -> bool:
        for _ in range(300):
            if await running() == count:
                return True
            await asyncio.sleep(0.05)
        return False

    work = asyncio.create_task(search())
    assert await comes_to(1)
    work.cancel()
    await asyncio.wait([work])
    assert await comes_to(0)
