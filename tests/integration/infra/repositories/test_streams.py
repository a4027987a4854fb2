"""Streams as recorded: forward only, once only, and their tenant's only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.media.segments import Gap, GapReason
from domain.streams.backfill.messages import AnalyzedMedia, BackfillRecord
from domain.streams.messages import StreamRecord, WindowRecord
from domain.streams.status import (
    EndReason,
    ProblemCode,
    StreamEnd,
    StreamProblem,
    StreamProgress,
    StreamStatus,
)
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.keyset import Position
from infra.db.repositories import streams
from infra.db.tables import Stream
from tests.factories.rows import new_stream, used

GAP = Gap(start=4.0, duration=2.0, first_sequence=2, last_sequence=2, reason=GapReason.NOT_FOUND)
ENDED = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="the playlist ended")


async def record(
    database: Database, tenant: UUID, stream: UUID, progress: StreamProgress, *gaps: Gap
) -> Stream:
    async with database.session(tenant) as session:
        await streams.record_stream(
            session,
            StreamRecord(tenant_id=tenant, stream_id=stream, progress=progress, gaps=gaps),
        )
    async with database.session(tenant) as session:
        found = await streams.get(session, tenant_id=tenant, stream_id=stream)
    assert found is not None
    return found


async def test_progress_is_recorded(database: Database, tenant: UUID, stream: UUID) -> None:
    progress = StreamProgress(status=StreamStatus.LIVE, position=12.0, segments=6, windows=2)
    row = await record(database, tenant, stream, progress)
    assert (row.status, row.position, row.segments, row.windows) == ("live", 12.0, 6, 2)
    assert row.ended_at is None


async def test_the_same_progress_again_changes_nothing(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    progress = StreamProgress(status=StreamStatus.LIVE, position=12.0)
    first = await record(database, tenant, stream, progress, GAP)
    second = await record(database, tenant, stream, progress, GAP)
    assert (second.revision, second.updated_at) == (first.revision, first.updated_at)
    async with database.session(tenant) as session:
        assert len(await streams.gaps(session, tenant_id=tenant, stream_id=stream)) == 1


def analyzed(
    index: int, seconds: float | None, *, analyzer: str | None = "local-1"
) -> WindowRecord:
    return WindowRecord(
        index=index,
        start=4.0 * index,
        end=4.0 * index + 4.0,
        segments=2,
        size=9,
        analyzer=analyzer,
        analyzed_seconds=seconds,
    )


async def record_windows(
    database: Database, tenant: UUID, stream: UUID, *windows: WindowRecord
) -> None:
    position = max((window.end for window in windows), default=0.0)
    progress = StreamProgress(position=position, analyzed=position)
    async with database.session(tenant) as session:
        await streams.record_stream(
            session,
            StreamRecord(tenant_id=tenant, stream_id=stream, progress=progress, windows=windows),
        )


async def test_the_media_of_each_window_is_metered_once_and_gaps_are_not(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    first, half, jump = analyzed(0, 4.0), analyzed(1, 1.5), analyzed(500_000, 4.0)
    given_up, nothing = analyzed(2, 0.0, analyzer=None), analyzed(3, 0.0)
    old, old_given_up = analyzed(4, None), analyzed(5, None, analyzer=None)
    for windows in (
        (first,),
        (first, half),
        (half, given_up, nothing),
        (old, old_given_up),
        (jump, first),
    ):
        await record_windows(database, tenant, stream, *windows)
    assert await used(database, tenant) == {"analyzed_seconds": 13.5}


async def test_writers_at_the_same_time_meter_a_window_once(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    windows = [analyzed(index, 4.0) for index in range(5)]
    await asyncio.gather(
        *(
            record_windows(database, tenant, stream, *windows[first:last])
            for first, last in ((0, 3), (1, 4), (2, 5), (0, 5))
        )
    )
    assert await used(database, tenant) == {"analyzed_seconds": 20.0}


async def test_the_media_of_a_recording_is_metered_once(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    record = BackfillRecord(
        tenant_id=tenant,
        stream_id=stream,
        progress=StreamProgress(),
        analyzed=(
            AnalyzedMedia(start=20.0, seconds=6.0),
            AnalyzedMedia(start=26.0, seconds=0.0),
        ),
    )
    for _ in range(2):
        async with database.session(tenant) as session:
            await streams.meter_recording(session, record)
    assert await used(database, tenant) == {"analyzed_seconds": 6.0}


async def test_windows_are_written_once_and_stay_as_they_were(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    at = datetime(2026, 5, 2, 19, tzinfo=UTC)
    seen = WindowRecord(
        index=0, start=0.0, end=4.0, segments=2, size=900, analyzer="local-1", analyzed_at=at
    )
    given_up = WindowRecord(index=1, start=4.0, end=8.0, segments=2, size=900)
    async with database.session(tenant) as session:
        for windows in ((seen,), (seen, given_up), (given_up,)):
            record = StreamRecord(
                tenant_id=tenant, stream_id=stream, progress=StreamProgress(), windows=windows
            )
            await streams.record_stream(session, record)
        found = await streams.windows(session, tenant_id=tenant, stream_id=stream)
    assert [(each.index, each.analyzer, each.analyzed_at) for each in found] == [
        (1, None, None),
        (0, "local-1", at),
    ]


@pytest.mark.parametrize("late", [s for s in StreamStatus if s is not StreamStatus.COMPLETED])
async def test_a_terminal_status_stays(
    database: Database, tenant: UUID, stream: UUID, late: StreamStatus
) -> None:
    done = StreamProgress(status=StreamStatus.COMPLETED, position=90.0, end=ENDED)
    before = await record(database, tenant, stream, done)
    after = await record(database, tenant, stream, StreamProgress(status=late, position=50.0))
    assert (after.status, after.end_reason, after.position) == ("completed", "playlist_ended", 90.0)
    assert after.ended_at == before.ended_at is not None


async def test_a_late_stall_does_not_hide_that_the_stream_is_live_again(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    await record(database, tenant, stream, StreamProgress(status=StreamStatus.LIVE, windows=5))
    row = await record(
        database, tenant, stream, StreamProgress(status=StreamStatus.STALLED, windows=4)
    )
    assert row.status == "live"


async def advance(
    database: Database, tenant: UUID, stream: UUID, *, position: float, analyzed: float
) -> Stream:
    async with database.session(tenant) as session:
        await streams.advance(
            session,
            tenant_id=tenant,
            stream_id=stream,
            position=position,
            analyzed=analyzed,
            last_segment_at=None,
        )
    async with database.session(tenant) as session:
        found = await streams.get(session, tenant_id=tenant, stream_id=stream)
    assert found is not None
    return found


async def test_a_position_between_two_records_is_shown_and_taken_back_by_neither(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    live = StreamProgress(status=StreamStatus.LIVE, position=10.0, analyzed=8.0, windows=2)
    first = await record(database, tenant, stream, live)
    ahead = await advance(database, tenant, stream, position=70.0, analyzed=66.0)
    assert (ahead.position, ahead.analyzed, ahead.windows) == (70.0, 66.0, 2)
    assert ahead.revision > first.revision
    late = await advance(database, tenant, stream, position=60.0, analyzed=60.0)
    assert (late.position, late.analyzed, late.revision) == (70.0, 66.0, ahead.revision)
    row = await record(database, tenant, stream, live)
    assert (row.position, row.analyzed) == (70.0, 66.0)


async def test_a_record_counts_although_a_position_ahead_of_it_was_written(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    live = StreamProgress(status=StreamStatus.LIVE, position=10.0, windows=2)
    await record(database, tenant, stream, live)
    await advance(database, tenant, stream, position=70.0, analyzed=66.0)
    problem = StreamProblem(code=ProblemCode.STORE_FULL, message="full")
    row = await record(
        database,
        tenant,
        stream,
        StreamProgress(
            status=StreamStatus.STALLED, position=60.0, windows=9, notice="n", problems=(problem,)
        ),
    )
    assert (row.status, row.notice, len(row.problems)) == ("stalled", "n", 1)


async def test_a_position_does_not_move_a_stream_that_has_ended(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    done = StreamProgress(status=StreamStatus.COMPLETED, position=90.0, end=ENDED)
    await record(database, tenant, stream, done)
    row = await advance(database, tenant, stream, position=95.0, analyzed=95.0)
    assert row.position == 90.0


async def test_the_notice_of_the_latest_analysis_stays_until_all_is_well(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    shown = []
    for analyzed, notice in ((8.0, "limited"), (4.0, ""), (8.0, "limited"), (12.0, "")):
        progress = StreamProgress(position=20.0, analyzed=analyzed, notice=notice)
        shown.append((await record(database, tenant, stream, progress)).notice)
    assert shown == ["limited", "limited", "limited", ""]


async def test_recording_a_stream_that_is_not_there_says_so(
    database: Database, tenant: UUID
) -> None:
    with pytest.raises(RecordMissingError):
        await record(database, tenant, uuid4(), StreamProgress())


async def test_another_tenants_stream_can_be_neither_read_nor_written(
    database: Database, tenant: UUID, other_tenant: UUID, stream: UUID
) -> None:
    with pytest.raises(RecordMissingError):
        await record(database, other_tenant, stream, StreamProgress(status=StreamStatus.FAILED))
    async with database.session(other_tenant) as session:
        # Naming the owner does not help: the session's tenant is what counts.
        for claimed in (tenant, other_tenant):
            assert await streams.get(session, tenant_id=claimed, stream_id=stream) is None
            assert await streams.list_page(session, tenant_id=claimed) == []
            assert await streams.gaps(session, tenant_id=claimed, stream_id=stream) == []
            assert await streams.windows(session, tenant_id=claimed, stream_id=stream) == []
            await streams.delete_unstarted(session, tenant_id=claimed, stream_id=stream)
    async with database.session(tenant) as session:
        assert await streams.get(session, tenant_id=tenant, stream_id=stream) is not None


async def test_pages_are_newest_first_and_follow_each_other(
    database: Database, tenant: UUID
) -> None:
    made = [await new_stream(database, tenant) for _ in range(5)]
    async with database.session(tenant) as session:
        first = await streams.list_page(session, tenant_id=tenant, limit=3)
        last = Position(value=first[-1].created_at, id=first[-1].id)
        second = await streams.list_page(session, tenant_id=tenant, after=last, limit=3)
    assert [row.id for row in first + second] == made[::-1]


async def test_only_a_stream_that_never_began_can_be_removed(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    await record(database, tenant, stream, StreamProgress(status=StreamStatus.LIVE, windows=1))
    async with database.session(tenant) as session:
        await streams.delete_unstarted(session, tenant_id=tenant, stream_id=stream)
        assert await streams.get(session, tenant_id=tenant, stream_id=stream) is not None
