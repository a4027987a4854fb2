"""A tenant never has more streams under way than its plan allows, however many start at once."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from domain.streams.messages import StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress
from domain.tenants.usage import PLANS, PlanName, StreamQuotaExceededError
from infra.db.engine import Database
from infra.db.repositories import streams, tenants
from tests.factories.rows import PROFILE, URL, new_stream

STARTER = PLANS[PlanName.STARTER]
ENDED = StreamEnd(reason=EndReason.STOPPED, message="stopped")


async def start(database: Database, tenant: UUID, default: PlanName = PlanName.STARTER) -> UUID:
    stream_id = uuid4()
    async with database.session(tenant) as session:
        await streams.reserve_slot(session, tenant_id=tenant, default_plan=default)
        await streams.create(
            session,
            tenant_id=tenant,
            stream_id=stream_id,
            playlist_url=URL,
            game="default",
            profile_id=PROFILE.id,
            profile_version=PROFILE.version,
        )
    return stream_id


async def test_streams_that_start_at_once_fill_the_quota_and_no_more(
    database: Database, tenant: UUID
) -> None:
    outcomes = await asyncio.gather(
        *(start(database, tenant) for _ in range(3 * STARTER.concurrent_streams)),
        return_exceptions=True,
    )
    started = [outcome for outcome in outcomes if isinstance(outcome, UUID)]
    refused = [each for each in outcomes if isinstance(each, StreamQuotaExceededError)]
    assert len(started) == STARTER.concurrent_streams
    assert len(started) + len(refused) == len(outcomes)
    assert all(set(each.running) == set(started) for each in refused)


async def test_a_stream_that_ends_makes_room(database: Database, tenant: UUID) -> None:
    first = await start(database, tenant, PlanName.FREE)
    with pytest.raises(StreamQuotaExceededError):
        await start(database, tenant, PlanName.FREE)
    progress = StreamProgress(status=ENDED.status, end=ENDED)
    async with database.session(tenant) as session:
        await streams.record_stream(
            session, StreamRecord(tenant_id=tenant, stream_id=first, progress=progress)
        )
    await start(database, tenant, PlanName.FREE)


async def test_a_tenants_plan_overrides_the_default(database: Database, tenant: UUID) -> None:
    async with database.session(tenant) as session:
        await tenants.set_plan(session, tenant_id=tenant, plan=PlanName.STARTER)
    for _ in range(2):
        await start(database, tenant, PlanName.FREE)


async def test_a_tenants_start_holds_up_neither_other_tenants_nor_its_own_rows(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    async with database.session(tenant) as session:
        await streams.reserve_slot(session, tenant_id=tenant, default_plan=PlanName.FREE)
        await start(database, other_tenant)
        await new_stream(database, tenant)


async def test_another_tenants_streams_do_not_count(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    await start(database, other_tenant, PlanName.FREE)
    await start(database, tenant, PlanName.FREE)
