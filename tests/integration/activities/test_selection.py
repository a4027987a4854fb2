"""Decisions reach the database, also those about candidates of earlier calls."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from temporalio.testing import ActivityEnvironment

from activities.selection import SelectionActivities
from domain.highlights.candidate import HighlightCandidate, Mark
from domain.highlights.selection import DecisionStatus, SelectHighlightsInput, SelectionState
from domain.score import DIMENSIONS, HighlightScore
from infra.db.engine import Database
from infra.db.repositories import highlights
from infra.db.repositories.highlights import HighlightFilter, Sort
from infra.profiles.store import ProfileStore
from tests.factories.rows import candidate

ALL = tuple(DecisionStatus)


def scored(proposed: HighlightCandidate, level: float) -> HighlightCandidate:
    score = HighlightScore(**dict.fromkeys(DIMENSIONS, level), confidence=0.9)
    return proposed.model_copy(update={"score": score})


async def test_a_decision_about_a_candidate_of_an_earlier_call_is_recorded(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    profiles = ProfileStore()
    selection = SelectionActivities(database=database, profiles=profiles)
    better = scored(candidate(tenant, stream, peak=60.0), 0.84)
    worse = scored(candidate(tenant, stream, peak=65.0), 0.8)

    async def recorded() -> list[tuple[float, str]]:
        async with database.session(tenant) as session:
            rows = await highlights.list_page(
                session, tenant_id=tenant, criteria=HighlightFilter(statuses=ALL), sort=Sort.PEAK
            )
        return [(row.peak, row.status) for row in rows]

    request = SelectHighlightsInput(
        tenant_id=tenant,
        stream_id=stream,
        profile_id="default",
        profile_version=profiles.catalog.get("default").version,
        state=SelectionState(),
        candidates=(better, worse),
        watermark=70.0,
    )
    first = await selection.select_highlights(request)
    assert await recorded() == [(60.0, "pending"), (65.0, "held")]

    last = {"state": first.state, "candidates": (), "watermark": 90.0, "ended": True}
    await selection.select_highlights(request.model_copy(update=last))
    assert await recorded() == [(60.0, "confirmed"), (65.0, "rejected")]


async def test_asked_again_after_a_lost_answer_it_decides_and_records_the_same(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    profiles = ProfileStore()
    request = SelectHighlightsInput(
        tenant_id=tenant,
        stream_id=stream,
        profile_id="default",
        profile_version=profiles.catalog.get("default").version,
        state=SelectionState(),
        candidates=(scored(candidate(tenant, stream, peak=60.0), 0.84),),
        watermark=70.0,
    )
    answers, revisions = [], []
    for _ in range(2):
        selection = SelectionActivities(database=database, profiles=ProfileStore())
        answers.append(await selection.select_highlights(request))
        async with database.session(tenant) as session:
            rows = await highlights.list_page(
                session, tenant_id=tenant, criteria=HighlightFilter(statuses=ALL), sort=Sort.PEAK
            )
        revisions.append([(row.id, row.status, row.revision) for row in rows])
    assert answers[0] == answers[1]
    assert revisions[0] == revisions[1]
    assert len(revisions[0]) == 1


async def test_a_mark_counts_by_the_profile_and_is_explained(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    profiles = ProfileStore()
    soccer = profiles.catalog.get("soccer")
    known, unknown = (
        scored(candidate(tenant, stream, peak=peak, tags=(label,)), 0.8).model_copy(
            update={"mark": Mark(label=label, importance=0.9)}
        )
        for peak, label in ((60.0, "red_card"), (120.0, "bet_settled"))
    )
    request = SelectHighlightsInput(
        tenant_id=tenant,
        stream_id=stream,
        profile_id=soccer.id,
        profile_version=soccer.version,
        state=SelectionState(),
        candidates=(known, unknown),
        watermark=130.0,
        ended=True,
    )
    await SelectionActivities(database=database, profiles=profiles).select_highlights(request)
    async with database.session(tenant) as session:
        found = await highlights.get_many(
            session, tenant_id=tenant, highlight_ids=[known.id, unknown.id]
        )
    rows = [found[known.id], found[unknown.id]]
    assert [row.tags for row in rows] == [["red_card"], []]
    assert rows[0].score > rows[1].score == pytest.approx(0.8)
    assert rows[1].corrections == [
        "the tenant's label `bet_settled` is no tag: Soccer does not know it"
    ]
    assert all("mark" in [reason["code"] for reason in row.reasons] for row in rows)


async def test_highlights_end_with_the_media_once_the_stream_has_ended(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    profiles = ProfileStore()
    selection = SelectionActivities(database=database, profiles=profiles)
    first, last = candidate(tenant, stream, peak=60.0), candidate(tenant, stream, peak=160.0)
    request = SelectHighlightsInput(
        tenant_id=tenant,
        stream_id=stream,
        profile_id="default",
        profile_version=profiles.catalog.get("default").version,
        state=SelectionState(),
        candidates=(scored(first, 0.97),),
        watermark=61.0,
    )
    before = await selection.select_highlights(request)
    ended = request.model_copy(
        update={
            "state": before.state,
            "candidates": (scored(last, 0.8),),
            "watermark": 161.0,
            "ended": True,
            "media_end": 161.0,
        }
    )
    after = await selection.select_highlights(ended)
    assert {each.status for each in after.decisions} == {DecisionStatus.CONFIRMED}
    assert last.end > 161.0
    async with database.session(tenant) as session:
        found = await highlights.get_many(
            session, tenant_id=tenant, highlight_ids=[first.id, last.id]
        )
        assert (found[last.id].end, found[last.id].clip_end) == (161.0, 161.0)
        await highlights.end_at(session, tenant_id=tenant, stream_id=stream, media_end=59.5)
        await highlights.end_at(session, tenant_id=tenant, stream_id=stream, media_end=59.5)
        await session.refresh(found[first.id])
        cut = found[first.id]
    assert (cut.peak, cut.end, cut.clip_end) == (59.5, 59.5, 59.5)
    assert cut.start <= 59.5
    assert cut.revision == 2


@pytest.mark.parametrize(
    ("workflow", "counted"), [("StreamWorkflow", 1.0), ("BackfillWorkflow", 0.0)]
)
async def test_the_delay_of_a_moment_is_measured_once_and_only_of_live_streams(
    database: Database, tenant: UUID, stream: UUID, workflow: str, counted: float
) -> None:
    profiles = ProfileStore()
    selection = SelectionActivities(database=database, profiles=profiles)
    moment = scored(candidate(tenant, stream, peak=60.0), 0.84)
    peak = datetime.now(UTC) - timedelta(seconds=7)
    request = SelectHighlightsInput(
        tenant_id=tenant,
        stream_id=stream,
        profile_id="default",
        profile_version=profiles.catalog.get("default").version,
        state=SelectionState(),
        candidates=(moment.model_copy(update={"peak_wall_clock": peak}),),
        watermark=70.0,
    )
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, workflow_type=workflow)

    def seen() -> tuple[float, float]:
        name = "highlights_moment_to_playable_seconds"
        values = [REGISTRY.get_sample_value(f"{name}_{each}") or 0.0 for each in ("count", "sum")]
        return values[0], values[1]

    before = seen()
    for _ in range(2):  # a repeated attempt publishes nothing new
        await environment.run(selection.select_highlights, request)
    count, seconds = (after - earlier for after, earlier in zip(seen(), before, strict=True))
    assert count == counted
    assert seconds >= 7.0 * counted
