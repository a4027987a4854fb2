"""What was committed is sent, whoever died and whatever was away."""

from __future__ import annotations

import asyncio
import dataclasses
from uuid import UUID

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from app.services import webhooks
from app.services.webhooks import WebhookDispatcher
from domain import task_queues
from domain.hms.messages import RelayInput, RelayReport
from domain.ids import delivery_id
from infra.db.engine import Database
from infra.db.repositories import deliveries, events
from tests.factories.rows import new_endpoint, new_tenant, usage_event
from tests.fakes.webhook_receiver import SECRET, receiver
from tests.integration.webhooks.conftest import Post
from workflows.relay import RelayWorkflow


async def away() -> Client:
    raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")


async def unqueued(post: Post) -> int:
    async with post.database.session(post.tenant_id) as session:
        return len(await deliveries.unqueued(session, tenant_id=post.tenant_id))


async def test_events_whose_writer_died_after_the_commit_are_sent_by_the_relay(post: Post) -> None:
    async with receiver() as hook:
        await post.endpoint(hook.url)
        await post.commit(usage_event(post.tenant_id))
        await ActivityEnvironment().run(post.activities.relay_events)
        (request,) = await hook.until(1)
    assert request.type == "usage.threshold"


async def test_deliveries_that_were_made_and_not_handed_over_are_sent_by_the_relay(
    post: Post,
) -> None:
    async with receiver() as hook:
        await post.endpoint(hook.url)
        await post.commit(usage_event(post.tenant_id))
        async with post.database.session(post.tenant_id) as session:
            await deliveries.fan_out(session, tenant_id=post.tenant_id)
        await ActivityEnvironment().run(post.activities.relay_events)
        await hook.until(1)
    assert await unqueued(post) == 0


async def test_with_temporal_away_events_wait_and_nothing_fails(post: Post) -> None:
    async with receiver() as hook:
        await post.endpoint(hook.url)
        await post.commit(usage_event(post.tenant_id))
        cut_off = WebhookDispatcher(post.database, away)
        assert not await cut_off.try_dispatch(post.tenant_id)
        assert await unqueued(post) == 1
        assert await post.dispatcher.try_dispatch(post.tenant_id)
        await hook.until(1)


async def test_the_relay_looks_again_and_again_over_executions_of_its_workflow(
    post: Post, temporal_client: Client
) -> None:
    async def start_relay(passes: int) -> WorkflowHandle[RelayWorkflow, RelayReport]:
        return await temporal_client.start_workflow(
            RelayWorkflow.run,
            RelayInput(interval=0.05, passes=passes),
            id=f"relay-{post.tenant_id}",
            task_queue=task_queues.ORCHESTRATION,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )

    async with receiver() as hook:
        await post.endpoint(hook.url)
        relay = await start_relay(passes=1000)
        for percent in (50, 80, 100):
            await post.commit(usage_event(post.tenant_id, percent=percent))
            await hook.until(len(hook.received) + 1)
        await relay.terminate()
        await post.commit(usage_event(post.tenant_id, percent=110))
        await (await start_relay(passes=1)).result()
        await hook.until(4)
    assert [each.data["percent"] for each in hook.received] == [50, 80, 100, 110]


async def test_the_relay_sees_only_the_ids_of_tenants(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    async with database.session(tenant) as session:
        await events.append(session, usage_event(tenant))
    waiting = await database.tenants_to_send_for()
    assert tenant in waiting
    assert other_tenant not in waiting
    async with database.session(other_tenant) as session:
        assert await events.undispatched(session, tenant_id=tenant) == []


async def test_an_event_without_subscribers_is_dispatched(database: Database) -> None:
    tenant = await new_tenant(database)
    async with database.session(tenant) as session:
        await events.append(session, usage_event(tenant))
    await WebhookDispatcher(database, away).dispatch(tenant)
    assert tenant not in await database.tenants_to_send_for()


async def test_an_event_that_is_dispatched_twice_makes_one_delivery(
    database: Database, tenant: UUID
) -> None:
    await new_endpoint(database, tenant, secret=SECRET)
    async with database.session(tenant) as session:
        await events.append(session, usage_event(tenant))

    async def fan_out() -> int:
        async with database.session(tenant) as session:
            return await deliveries.fan_out(session, tenant_id=tenant)

    assert sorted(await asyncio.gather(fan_out(), fan_out(), fan_out())) == [0, 0, 1]
    async with database.session(tenant) as session:
        assert len(await deliveries.unqueued(session, tenant_id=tenant)) == 1


@pytest.mark.parametrize("attempts_since", [0, 1])
async def test_a_delivery_attempted_meanwhile_is_signaled_again(
    database: Database, tenant: UUID, attempts_since: int
) -> None:
    """Else a redelivery that was asked for between telling and noting would be lost."""
    await new_endpoint(database, tenant, secret=SECRET)
    async with database.session(tenant) as session:
        await events.append(session, usage_event(tenant))
        await deliveries.fan_out(session, tenant_id=tenant)
    async with database.session(tenant) as session:
        (waiting,) = await deliveries.unqueued(session, tenant_id=tenant)
        seen = dataclasses.replace(waiting, attempts=waiting.attempts - attempts_since)
        await deliveries.mark_queued(session, tenant_id=tenant, deliveries=[seen])
    async with database.session(tenant) as session:
        left = await deliveries.unqueued(session, tenant_id=tenant)
    assert len(left) == attempts_since


async def test_a_backlog_is_dispatched_in_parts_in_order(
    database: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part of two events at a time, so that other tenants have their turn between."""
    monkeypatch.setattr(webhooks, "_BATCH", 2)
    monkeypatch.setattr(webhooks, "_BATCHES", 1)
    await new_endpoint(database, tenant, secret=SECRET)
    told = [usage_event(tenant, percent=percent) for percent in (10, 20, 30)]
    for each in told:
        async with database.session(tenant) as session:
            await events.append(session, each)
    dispatcher = WebhookDispatcher(database, away)
    for left in (1, 0):
        assert not await dispatcher.try_dispatch(tenant)
        async with database.session(tenant) as session:
            assert len(await events.undispatched(session, tenant_id=tenant)) == left
            waiting = await deliveries.unqueued(session, tenant_id=tenant)
    expected = [delivery_id(endpoint_id=waiting[0].endpoint_id, event=each.id) for each in told]
    assert [each.id for each in waiting] == expected


@pytest.mark.parametrize(("minutes", "is_lost"), [(50, False), (70, True)])
async def test_a_delivery_whose_workflow_was_lost_is_taken_up_again(
    database: Database, tenant: UUID, minutes: int, is_lost: bool
) -> None:
    await new_endpoint(database, tenant, secret=SECRET)
    async with database.session(tenant) as session:
        await events.append(session, usage_event(tenant))
        await deliveries.fan_out(session, tenant_id=tenant)
        await session.execute(
            text("UPDATE deliveries SET queued_at = now() - make_interval(mins => :minutes)"),
            {"minutes": minutes},
        )
    assert (tenant in await database.tenants_to_send_for()) is is_lost
    async with database.session(tenant) as session:
        found = await deliveries.unqueued(session, tenant_id=tenant)
        assert len(found) == int(is_lost)
        await deliveries.mark_queued(session, tenant_id=tenant, deliveries=found)
    assert tenant not in await database.tenants_to_send_for()


async def test_a_delivery_that_waits_for_its_next_attempt_is_not_lost(
    database: Database, tenant: UUID
) -> None:
    await new_endpoint(database, tenant, secret=SECRET)
    async with database.session(tenant) as session:
        await events.append(session, usage_event(tenant))
        await deliveries.fan_out(session, tenant_id=tenant)
        await session.execute(
            text(
                "UPDATE deliveries SET queued_at = now() - interval '9 hours',"
                " next_attempt_at = now() - interval '10 minutes'"
            )
        )
    assert tenant not in await database.tenants_to_send_for()
