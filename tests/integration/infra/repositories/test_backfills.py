"""What a backfill reads of a stream, and what it writes of its gaps."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.highlights.selection import DecisionStatus
from domain.media.segments import Gap, GapReason, GapStatus
from domain.streams.backfill.messages import BackfillRecord, StoredStreamState, StreamRef
from domain.streams.backfill.planning import GapOutcome
from domain.streams.messages import StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from infra.db.engine import Database
from infra.db.repositories import backfills, streams
from infra.db.tables import StreamGap
from tests.factories.rows import new_highlight, new_stream

GAP = Gap(
    start=100.25,
    duration=20.0,
    first_sequence=50,
    last_sequence=59,
    reason=GapReason.ROLLED_OFF,
    anchor_at=98.25,
    anchor_wall=datetime(2026, 5, 1, 12, 0, tzinfo=UTC),
)
OTHER = GAP.model_copy(update={"start": 400.0, "first_sequence": 200, "last_sequence": 209})
OVER = StreamProgress(
    status=StreamStatus.COMPLETED,
    position=600.0,
    segments=280,
    missed=20,
    highlights=2,
    notice="Only the local analyzer was at work.",
    end=StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="ended"),
)


@pytest.fixture
async def stream(database: Database, tenant: UUID) -> UUID:
    stream_id = await new_stream(database, tenant)
    record = StreamRecord(tenant_id=tenant, stream_id=stream_id, progress=OVER, gaps=(GAP, OTHER))
    async with database.session(tenant) as session:
        await streams.record_stream(session, record)
    return stream_id


async def recalled(
    database: Database, tenant: UUID, stream: UUID, *, again: bool = False
) -> StoredStreamState | None:
    ref = StreamRef(tenant_id=tenant, stream_id=stream, again=again)
    async with database.session(tenant) as session:
        return await backfills.load_stream(session, ref)


async def settle(
    database: Database, tenant: UUID, stream: UUID, status: GapStatus, why: str
) -> list[StreamGap]:
    """Write what came of `GAP`, and return all gaps."""
    outcome = GapOutcome(
        start=GAP.start, first_sequence=GAP.first_sequence, status=status, resolution=why
    )
    record = BackfillRecord(tenant_id=tenant, stream_id=stream, progress=OVER, outcomes=(outcome,))
    async with database.session(tenant) as session:
        await backfills.record_outcomes(session, record)
    async with database.session(tenant) as session:
        return await streams.gaps(session, tenant_id=tenant, stream_id=stream)


async def test_a_stream_is_recalled_as_it_ended(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    found = await recalled(database, tenant, stream)
    assert found is not None
    assert found.progress == OVER
    assert found.gaps == (GAP, OTHER)
    assert not found.missed_altogether


async def test_what_was_shown_is_recalled_and_what_was_refused_only_beside_a_gap(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    shown = await new_highlight(database, tenant, stream, peak=300.0)
    beside = await new_highlight(
        database, tenant, stream, peak=95.0, status=DecisionStatus.REJECTED
    )
    await new_highlight(database, tenant, stream, peak=250.0, status=DecisionStatus.REJECTED)
    found = await recalled(database, tenant, stream)
    assert found is not None
    assert {each.id for each in found.standing} == {shown, beside}


async def test_to_be_analysed_again_all_is_recalled_but_for_the_words_of_what_was_refused(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    shown = await new_highlight(database, tenant, stream, peak=300.0)
    refused = await new_highlight(
        database, tenant, stream, peak=250.0, status=DecisionStatus.REJECTED
    )
    found = await recalled(database, tenant, stream, again=True)
    assert found is not None
    assert {each.id: each.title for each in found.standing} == {shown: "Crowd roar", refused: ""}


async def test_a_gap_that_was_filled_is_not_recalled_and_a_lost_one_is_tried_again(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    await settle(database, tenant, stream, GapStatus.LOST, "not reached")
    found = await recalled(database, tenant, stream)
    assert found is not None
    assert len(found.gaps) == 2
    await settle(database, tenant, stream, GapStatus.FILLED, "analysed")
    found = await recalled(database, tenant, stream)
    assert found is not None
    assert found.gaps == (OTHER,)


async def test_a_gap_that_was_filled_stays_filled(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    await settle(database, tenant, stream, GapStatus.FILLED, "analysed")
    rows = await settle(database, tenant, stream, GapStatus.LOST, "not reached")
    assert [(row.status, row.resolution) for row in rows] == [("filled", "analysed"), ("open", "")]


async def test_a_stream_of_another_tenant_is_not_there(
    database: Database, other_tenant: UUID, stream: UUID
) -> None:
    assert await recalled(database, other_tenant, stream) is None
    assert await recalled(database, other_tenant, uuid4()) is None


async def test_nothing_of_another_tenants_gaps_is_written(
    database: Database, tenant: UUID, other_tenant: UUID, stream: UUID
) -> None:
    await settle(database, other_tenant, stream, GapStatus.FILLED, "analysed")
    found = await recalled(database, tenant, stream)
    assert found is not None
    assert len(found.gaps) == 2
