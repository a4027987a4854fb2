"""Decisions as recorded: the newest stands, however often and late the others arrive."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.analysis.screen import MatchState
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.keyset import Position
from infra.db.repositories import highlights
from infra.db.repositories.highlights import HighlightFilter, Sort
from infra.db.tables import Highlight
from tests.factories.rows import PROFILE, candidate, decision, new_highlight, new_stream

PENDING, CONFIRMED = DecisionStatus.PENDING, DecisionStatus.CONFIRMED
RETRACTED, REJECTED = DecisionStatus.RETRACTED, DecisionStatus.REJECTED
HELD = DecisionStatus.HELD
EARLIER, LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2150, 1, 1, tzinfo=UTC)
HAPPENED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)  # what `rows.candidate` says


@pytest.fixture
async def stream(database: Database, tenant: UUID) -> UUID:
    return await new_stream(database, tenant, game="football")


async def record(
    database: Database,
    tenant: UUID,
    stream: UUID,
    *decisions: Decision,
    candidates: tuple[HighlightCandidate, ...] = (),
) -> frozenset[UUID]:
    async with database.session(tenant) as session:
        return await highlights.record_decisions(
            session,
            tenant_id=tenant,
            stream_id=stream,
            profile=PROFILE,
            candidates=candidates,
            decisions=decisions,
        )


async def read(database: Database, tenant: UUID, highlight: UUID) -> Highlight:
    async with database.session(tenant) as session:
        row = await highlights.get(session, tenant_id=tenant, highlight_id=highlight)
    assert row is not None
    return row


async def test_a_decision_is_recorded_with_all_that_speaks_for_it(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    about = candidate(tenant, stream)
    changed = await record(database, tenant, stream, decision(about), candidates=(about,))
    row = await read(database, tenant, about.id)
    assert changed == {about.id}
    assert (row.status, row.tier, row.score, row.game) == ("confirmed", "standard", 0.8, "football")
    assert {name: getattr(row, name) for name in about.score.dimensions()} == (
        about.score.dimensions()
    )
    assert row.evidence[0]["words"] == "the crowd is loud"
    assert row.reasons[0]["code"] == "threshold"
    assert row.peak_wall_clock == about.peak_wall_clock


async def test_recording_again_changes_nothing(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    about = candidate(tenant, stream)
    await record(database, tenant, stream, decision(about), candidates=(about,))
    before = await read(database, tenant, about.id)
    again = await record(database, tenant, stream, decision(about), candidates=(about,))
    bare = await record(database, tenant, stream, decision(about))
    after = await read(database, tenant, about.id)
    assert again == bare == frozenset()
    assert (
        (after.revision, after.updated_at)
        == (before.revision, before.updated_at)
        == (
            1,
            before.updated_at,
        )
    )


@pytest.mark.parametrize("with_candidate", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ((PENDING, 10.0), (CONFIRMED, 20.0), "confirmed"),
        ((PENDING, 10.0), (RETRACTED, 20.0), "retracted"),
        ((PENDING, 10.0), (CONFIRMED, 10.0), "confirmed"),
        ((CONFIRMED, 10.0), (PENDING, 10.0), "confirmed"),
        ((CONFIRMED, 20.0), (PENDING, 10.0), "confirmed"),
        ((CONFIRMED, 10.0), (RETRACTED, 20.0), "confirmed"),
        ((RETRACTED, 20.0), (PENDING, 10.0), "retracted"),
        ((REJECTED, 10.0), (PENDING, 20.0), "pending"),
        ((HELD, 10.0), (PENDING, 20.0), "pending"),
        ((REJECTED, 10.0), (HELD, 10.0), "rejected"),
    ],
)
async def test_the_newest_decision_stands(
    database: Database,
    tenant: UUID,
    stream: UUID,
    *,
    first: tuple[DecisionStatus, float],
    second: tuple[DecisionStatus, float],
    stands: str,
    with_candidate: bool,
) -> None:
    about = candidate(tenant, stream)
    await record(
        database,
        tenant,
        stream,
        decision(about, status=first[0], decided_at=first[1]),
        candidates=(about,),
    )
    await record(
        database,
        tenant,
        stream,
        decision(about, status=second[0], decided_at=second[1]),
        candidates=(about,) if with_candidate else (),
    )
    assert (await read(database, tenant, about.id)).status == stands


async def test_a_decision_about_nothing_known_is_refused(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    with pytest.raises(RecordMissingError):
        await record(database, tenant, stream, decision(candidate(tenant, stream)))


async def test_a_decision_for_an_unknown_stream_is_refused(
    database: Database, tenant: UUID
) -> None:
    about = candidate(tenant, uuid4())
    with pytest.raises(RecordMissingError):
        await record(database, tenant, uuid4(), decision(about), candidates=(about,))


async def test_another_tenants_highlights_can_be_neither_read_nor_written(
    database: Database, tenant: UUID, other_tenant: UUID, stream: UUID
) -> None:
    highlight = await new_highlight(database, tenant, stream)
    about = candidate(tenant, stream)
    with pytest.raises(RecordMissingError):
        await record(database, other_tenant, stream, decision(about, score=0.1))
    own = await new_stream(database, other_tenant)
    with pytest.raises(RecordMissingError):
        await record(database, other_tenant, own, decision(about, score=0.1))
    async with database.session(other_tenant) as session:
        for claimed in (tenant, other_tenant):
            assert await highlights.get(session, tenant_id=claimed, highlight_id=highlight) is None
            found = await highlights.list_page(
                session, tenant_id=claimed, criteria=HighlightFilter(stream_id=stream)
            )
            assert found == []
    assert (await read(database, tenant, highlight)).score == 0.8


async def listed(
    database: Database, tenant: UUID, criteria: HighlightFilter, sort: Sort = Sort.PEAK
) -> list[float]:
    async with database.session(tenant) as session:
        found = await highlights.list_page(session, tenant_id=tenant, criteria=criteria, sort=sort)
    return [row.peak for row in found]


async def test_a_highlight_is_found_by_the_words_it_has_now(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    before = candidate(tenant, stream, tags=("goal", "header"))
    after = before.model_copy(update={"title": "Own goal", "tags": ("own-goal",)})
    for about, at in ((before, 100.0), (after, 110.0)):
        await record(database, tenant, stream, decision(about, decided_at=at), candidates=(about,))
    peak = before.peak
    expected = {
        HighlightFilter(text="own"): [peak],
        HighlightFilter(tag="own-goal"): [peak],
        HighlightFilter(tag="header"): [],
        HighlightFilter(text="header"): [],
    }
    assert {each: await listed(database, tenant, each) for each in expected} == expected


async def test_filters_narrow_a_list(database: Database, tenant: UUID, stream: UUID) -> None:
    await new_highlight(database, tenant, stream, peak=10.0, score=0.7, tags=("save",))
    await new_highlight(database, tenant, stream, peak=20.0, score=0.9, status=PENDING)
    await new_highlight(database, tenant, stream, peak=30.0, score=0.1, status=REJECTED)
    elsewhere = await new_stream(database, tenant, game="chess")
    await new_highlight(database, tenant, elsewhere, peak=40.0, score=0.8)
    expected = {
        HighlightFilter(): [10, 20, 40],
        HighlightFilter(stream_id=stream): [10, 20],
        HighlightFilter(statuses=(PENDING, REJECTED)): [20, 30],
        HighlightFilter(game="chess"): [40],
        HighlightFilter(tag="save"): [10],
        HighlightFilter(tag="sav"): [],
        HighlightFilter(text="CROWD roar!"): [10, 20, 40],
        HighlightFilter(text="roar goal"): [20, 40],
        HighlightFilter(text="crow"): [],
        HighlightFilter(text="?!"): [],
        HighlightFilter(max_score=0.7): [10],
        HighlightFilter(dimensions=(("rarity", 0.8),)): [10, 20, 40],
        HighlightFilter(dimensions=(("rarity", 0.8), ("game_impact", 0.81))): [],
        HighlightFilter(created_from=EARLIER, created_to=LATER): [10, 20, 40],
        HighlightFilter(created_to=EARLIER): [],
        HighlightFilter(occurred_from=HAPPENED, occurred_to=LATER): [10, 20, 40],
        HighlightFilter(occurred_to=HAPPENED): [],
        HighlightFilter(min_score=0.8): [20, 40],
        HighlightFilter(peak_from=20.0, peak_to=39.0): [20],
    }
    assert {each: await listed(database, tenant, each) for each in expected} == expected
    assert await listed(database, tenant, HighlightFilter(), Sort.BEST) == [20, 40, 10]
    assert await listed(database, tenant, HighlightFilter(), Sort.NEWEST) == [40, 20, 10]
    assert await listed(database, tenant, HighlightFilter(), Sort.OLDEST) == [10, 20, 40]


async def test_highlights_are_listed_by_the_state_of_the_match_that_they_have_now(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    lead = MatchState(score_before=(1, 1), score_after=(2, 1), period="Half-Time")
    await new_highlight(database, tenant, stream, peak=10.0, state=lead)
    await new_highlight(database, tenant, stream, peak=20.0, state=MatchState(period="2nd"))
    await new_highlight(database, tenant, stream, peak=30.0)
    level = candidate(tenant, stream, peak=40.0)
    for score, at in (((2, 1), 100.0), ((2, 2), 110.0)):
        about = level.model_copy(update={"state": MatchState(score_after=score)})
        await record(database, tenant, stream, decision(about, decided_at=at), candidates=(about,))
    expected = {
        HighlightFilter(state="2-1"): [10],
        HighlightFilter(state="1-1"): [],
        HighlightFilter(state="2"): [],
        HighlightFilter(state="2-2"): [40],
        HighlightFilter(period="half time"): [10],
        HighlightFilter(period="2ND"): [20],
        HighlightFilter(state="2-1", period="2nd"): [],
    }
    assert {each: await listed(database, tenant, each) for each in expected} == expected


@pytest.mark.parametrize("sort", list(Sort))
async def test_pages_bring_every_row_once_also_among_equals(
    database: Database, tenant: UUID, stream: UUID, sort: Sort
) -> None:
    about = [candidate(tenant, stream, peak=float(peak)) for peak in range(10, 17)]
    await record(
        database, tenant, stream, *(decision(each) for each in about), candidates=tuple(about)
    )
    seen: list[UUID] = []
    after: Position | None = None
    async with database.session(tenant) as session:
        while page := await highlights.list_page(
            session,
            tenant_id=tenant,
            criteria=HighlightFilter(),
            sort=sort,
            after=after,
            limit=2,
        ):
            seen += [row.id for row in page]
            after = Position(
                value=getattr(page[-1], highlights.ORDERS[sort].column.key), id=page[-1].id
            )
    assert sorted(seen) == sorted(each.id for each in about)
