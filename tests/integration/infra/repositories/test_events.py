"""The outbox: an event stands in it exactly once, and if and only if its change does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.clips.models import ClipStatus
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus
from domain.streams.messages import StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from domain.webhooks.events import Event, EventType, UsagePayload, event
from infra.db.engine import Database
from infra.db.repositories import events, highlights, streams
from infra.db.tables import EventRow
from tests.factories.rows import PROFILE, candidate, decision, new_clip, new_highlight, new_stream

PENDING, CONFIRMED = DecisionStatus.PENDING, DecisionStatus.CONFIRMED


def usage(tenant: UUID, percent: int = 80) -> Event:
    return event(
        EventType.USAGE_THRESHOLD,
        UsagePayload(kind="clips", period="2026-11", percent=percent, used=80.0, budget=100.0),
        tenant_id=tenant,
        subject="usage/clips/2026-11",
        revision=percent,
        created_at=datetime(2026, 11, 24, tzinfo=UTC),
    )


async def told(database: Database, tenant: UUID) -> list[Event]:
    async with database.session(tenant) as session:
        return list(await events.undispatched(session, tenant_id=tenant))


async def kinds(database: Database, tenant: UUID) -> list[str]:
    return [each.type.value for each in await told(database, tenant)]


async def decide(
    database: Database, tenant: UUID, stream: UUID, about: HighlightCandidate, *made: Decision
) -> None:
    async with database.session(tenant) as session:
        await highlights.record_decisions(
            session,
            tenant_id=tenant,
            stream_id=stream,
            profile=PROFILE,
            candidates=[about],
            decisions=made,
        )


async def progress(database: Database, tenant: UUID, stream: UUID, state: StreamProgress) -> bool:
    record = StreamRecord(tenant_id=tenant, stream_id=stream, progress=state)
    async with database.session(tenant) as session:
        return await streams.record_stream(session, record)


async def test_an_event_is_appended_once(database: Database, tenant: UUID) -> None:
    async with database.session(tenant) as session:
        first = await events.append(session, usage(tenant))
    async with database.session(tenant) as session:
        second = await events.append(session, usage(tenant))
    assert (first, second) == (True, False)
    assert await told(database, tenant) == [usage(tenant)]


async def test_an_event_goes_with_its_transaction(database: Database, tenant: UUID) -> None:
    async def append_and_fail() -> None:
        async with database.session(tenant) as session:
            await events.append(session, usage(tenant))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await append_and_fail()
    assert await told(database, tenant) == []


async def test_events_are_read_in_the_order_in_which_they_were_appended(
    database: Database, tenant: UUID
) -> None:
    for percent in (50, 80, 100):
        async with database.session(tenant) as session:
            await events.append(session, usage(tenant, percent))
    found = await told(database, tenant)
    assert [each.data["percent"] for each in found] == [50, 80, 100]


async def test_each_relay_keeps_its_own_place(database: Database, tenant: UUID) -> None:
    told = usage(tenant).id
    async with database.session(tenant) as session:
        await events.append(session, usage(tenant))
    for mark, places in (
        (events.mark_published, (False, True)),
        (events.mark_dispatched, (True, True)),
    ):
        async with database.session(tenant) as session:
            await mark(session, tenant_id=tenant, event_ids=[told])
        async with database.session(tenant) as session:
            row = await session.get_one(EventRow, (tenant, told))
        assert (row.dispatched_at is not None, row.published_at is not None) == places


async def test_relays_that_mark_the_same_events_do_not_block_each_other(
    database: Database, tenant: UUID
) -> None:
    told = [usage(tenant, percent) for percent in range(1, 31)]
    async with database.session(tenant) as session:
        for each in told:
            await events.append(session, each)
    ids = [each.id for each in told]

    async def mark(publish: bool) -> None:
        ordered = ids if publish else ids[::-1]
        note = events.mark_published if publish else events.mark_dispatched
        async with database.session(tenant) as session:
            await note(session, tenant_id=tenant, event_ids=ordered)

    await asyncio.gather(*(mark(publish) for publish in (True, False) * 3))


async def test_two_relays_at_once_do_not_take_the_same_event(
    database: Database, tenant: UUID
) -> None:
    async with database.session(tenant) as session:
        await events.append(session, usage(tenant))

    async def take() -> int:
        async with database.session(tenant) as session:
            found = await events.undispatched(session, tenant_id=tenant)
            await events.mark_dispatched(
                session, tenant_id=tenant, event_ids=[each.id for each in found]
            )
        return len(found)

    assert sorted(await asyncio.gather(take(), take())) == [0, 1]


async def test_another_tenants_events_are_not_seen(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    async with database.session(tenant) as session:
        await events.append(session, usage(tenant))
    async with database.session(other_tenant) as session:
        assert await events.undispatched(session, tenant_id=tenant) == []
        assert await events.get(session, tenant_id=tenant, event_id=usage(tenant).id) is None


async def test_a_stream_has_one_event_for_its_start_and_one_for_its_end(
    database: Database, tenant: UUID
) -> None:
    stream = await new_stream(database, tenant)
    live = StreamProgress(status=StreamStatus.LIVE, position=4.0, segments=2)
    end = StreamEnd(reason=EndReason.STOPPED, message="stopped")
    over = StreamProgress(status=StreamStatus.COMPLETED, position=60.0, segments=30, end=end)
    answers = [await progress(database, tenant, stream, each) for each in (live, live, over, over)]
    assert answers == [True, False, True, False]
    started, ended = await told(database, tenant)
    assert (started.type, ended.type) == (EventType.STREAM_STARTED, EventType.STREAM_ENDED)
    assert started.subject == ended.subject == f"stream/{stream}"
    assert started.data["status"] == "live"
    assert ended.data["end_reason"] == "stopped"
    assert ended.data["ended_at"] is not None


async def test_a_highlight_has_an_event_for_each_visible_state(
    database: Database, tenant: UUID
) -> None:
    stream = await new_stream(database, tenant)
    about = candidate(tenant, stream)
    for made in (
        decision(about, status=DecisionStatus.HELD, decided_at=80.0),
        decision(about, status=PENDING, decided_at=90.0),
        decision(about, status=PENDING, decided_at=95.0, score=0.81),
        decision(about, status=CONFIRMED, decided_at=100.0),
        decision(about, status=CONFIRMED, decided_at=100.0),
    ):
        await decide(database, tenant, stream, about, made)
    pending, confirmed = await told(database, tenant)
    assert (pending.data["status"], confirmed.data["status"]) == ("pending", "confirmed")
    assert confirmed.type is EventType.HIGHLIGHT_CONFIRMED
    assert confirmed.data["highlight_id"] == str(about.id)
    assert confirmed.data["dimensions"]["rarity"] == 0.8
    assert confirmed.stream_id == stream


async def test_a_change_recorded_twice_concurrently_has_one_event(
    database: Database, tenant: UUID
) -> None:
    stream = await new_stream(database, tenant)
    about = candidate(tenant, stream)
    made = decision(about, status=PENDING)
    await asyncio.gather(*(decide(database, tenant, stream, about, made) for _ in range(4)))
    assert await kinds(database, tenant) == ["highlight.pending"]


async def test_events_of_a_clip_are_ordered_with_those_of_its_highlight(
    database: Database, tenant: UUID
) -> None:
    stream = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, stream)
    for status in (ClipStatus.RENDERING, ClipStatus.READY, ClipStatus.READY):
        clip = await new_clip(database, tenant, stream, highlight, status=status)
    confirmed, ready = await told(database, tenant)
    assert ready.type is EventType.CLIP_READY
    assert ready.ordering_key == confirmed.ordering_key
    assert ready.subject == f"clip/{clip}"
    assert ready.data["url"] == f"/v1/clips/{clip}/download"
    assert ready.data["tags"] == ["goal"]


async def test_events_of_unknown_ids_are_not_found(database: Database, tenant: UUID) -> None:
    async with database.session(tenant) as session:
        assert await events.get(session, tenant_id=tenant, event_id=uuid4()) is None
