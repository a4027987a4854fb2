"""Sessions, passes of the relay and of reconciliation, and the schedules that start them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleHandle,
    WorkflowContinuedAsNewError,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.worker import Worker

from app.schedules import IntervalSchedule, all_rounds, ensure_schedule, ensure_schedules
from app.worker import workflow_runner
from domain import task_queues
from domain.hms.messages import (
    ReconcileReport,
    RelayReport,
    SessionInput,
    SessionRef,
    SessionResult,
    SessionTiming,
)
from domain.webhooks.delivery import OutboxRelayInput
from infra.settings import Settings
from tests.fakes.scripted_inbound import (
    QUICK_RECONCILE,
    QUICK_RELAY,
    ScriptedInbound,
    new_id,
    running,
)
from workflows.reconcile import ReconcileWorkflow
from workflows.relay import OutboxRelayWorkflow, RelayWorkflow
from workflows.session import SessionWorkflow


async def relay(client: Client) -> RelayReport:
    return await client.execute_workflow(
        RelayWorkflow.run,
        QUICK_RELAY,
        id=new_id("relay"),
        task_queue=task_queues.ORCHESTRATION,
    )


async def reconcile(client: Client) -> ReconcileReport:
    return await client.execute_workflow(
        ReconcileWorkflow.run,
        QUICK_RECONCILE,
        id=new_id("reconcile"),
        task_queue=task_queues.ORCHESTRATION,
    )


async def test_a_round_of_the_relay_reports_what_it_did(temporal_client: Client) -> None:
    script = ScriptedInbound()
    script.relay_failures = 2
    async with running(temporal_client, script):
        assert await relay(temporal_client) == RelayReport(tenants=2, delivered=5, left=1)
    assert script.outbox_passes == 1


async def test_a_round_that_keeps_failing_gives_way_to_the_next(temporal_client: Client) -> None:
    script = ScriptedInbound()
    script.relay_failures = QUICK_RELAY.attempts
    async with running(temporal_client, script):
        with pytest.raises(WorkflowFailureError):
            await relay(temporal_client)


async def test_all_connections_are_reconciled(temporal_client: Client) -> None:
    script = ScriptedInbound(connections=5)
    async with running(temporal_client, script):
        report = await reconcile(temporal_client)
    assert report == ReconcileReport(connections=5, started=5, ended=10)
    assert sorted(script.asked) == [each.connection_id for each in script.connections]


async def test_a_connection_that_fails_does_not_stop_the_others(temporal_client: Client) -> None:
    script = ScriptedInbound(connections=4)
    script.failures[script.connections[0].connection_id] = 2
    script.refused.add(script.connections[1].connection_id)
    async with running(temporal_client, script):
        report = await reconcile(temporal_client)
    assert report == ReconcileReport(connections=3, started=3, ended=6, failed=1)
    assert script.asked.count(script.connections[0].connection_id) == 3
    assert script.asked.count(script.connections[1].connection_id) == 1


async def test_without_connections_there_is_nothing_to_reconcile(temporal_client: Client) -> None:
    async with running(temporal_client, ScriptedInbound(connections=0)):
        assert await reconcile(temporal_client) == ReconcileReport()


async def test_one_execution_relays_again_and_again_whatever_a_pass_meets(
    temporal_client: Client,
) -> None:
    script = ScriptedInbound()
    script.relay_failures = 1
    script.outbox_failures = 1
    request = QUICK_RELAY.model_copy(update={"passes": 3, "interval": 0.01, "attempts": 1})
    async with running(temporal_client, script):
        report = await temporal_client.execute_workflow(
            RelayWorkflow.run,
            request,
            id=new_id("relay"),
            task_queue=task_queues.ORCHESTRATION,
        )
    assert report == RelayReport(tenants=2, delivered=10, left=1)
    assert script.outbox_passes == 2


async def test_the_retired_relay_of_the_outbox_ends_by_itself(temporal_client: Client) -> None:
    async with Worker(
        temporal_client,
        task_queue=task_queues.ORCHESTRATION,
        workflows=[OutboxRelayWorkflow],
        workflow_runner=workflow_runner(),
    ):
        await temporal_client.execute_workflow(
            OutboxRelayWorkflow.run,
            OutboxRelayInput(interval=0.05),
            id=new_id("outbox-relay"),
            task_queue=task_queues.ORCHESTRATION,
        )


async def session(
    client: Client, *, idle_timeout: float = 0.5, history_limit: int | None = None
) -> WorkflowHandle[SessionWorkflow, SessionResult]:
    """Store an event of a session, as the API does: signal with start."""
    ref = SessionRef(tenant_id=uuid4(), connection_id=uuid4(), partition="session:one")
    timing = SessionTiming(idle_timeout=idle_timeout, retry_interval=0.01)
    return await client.start_workflow(
        SessionWorkflow.run,
        SessionInput(ref=ref, timing=timing, history_limit=history_limit),
        id=new_id("session"),
        task_queue=task_queues.ORCHESTRATION,
        start_signal=SessionWorkflow.events_stored.__name__,
    )


async def test_a_session_processes_all_batches_and_ends_when_it_is_idle(
    temporal_client: Client,
) -> None:
    script = ScriptedInbound()
    script.pending["session:one"] = [50, 50, 3]
    async with running(temporal_client, script):
        handle = await session(temporal_client)
        assert await handle.result() == SessionResult(processed=103)


async def test_a_session_retries_an_event_until_it_is_processed(temporal_client: Client) -> None:
    script = ScriptedInbound()
    script.pending["session:one"] = [-1, -1, -1, 2]
    async with running(temporal_client, script):
        handle = await session(temporal_client)
        assert await handle.result() == SessionResult(processed=2)


async def test_an_event_that_is_stored_later_is_processed_in_the_same_execution(
    temporal_client: Client,
) -> None:
    script = ScriptedInbound()
    script.pending["session:one"] = [1]
    async with running(temporal_client, script):
        handle = await session(temporal_client, idle_timeout=2.0)
        await script.processed.wait()
        script.pending["session:one"] = [1]
        await handle.signal(SessionWorkflow.events_stored)
        assert await handle.result() == SessionResult(processed=2)


async def test_a_session_that_continues_as_new_loses_no_event(temporal_client: Client) -> None:
    script = ScriptedInbound()
    script.pending["session:one"] = [1] * 12
    async with running(temporal_client, script):
        handle = await session(temporal_client, history_limit=20)
        first = temporal_client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        with pytest.raises(WorkflowContinuedAsNewError):
            await first.result(follow_runs=False)
        assert await handle.result() == SessionResult(processed=12)


async def test_one_execution_asks_100ms_again_and_again(temporal_client: Client) -> None:
    script = ScriptedInbound(connections=2)
    request = QUICK_RECONCILE.model_copy(update={"passes": 2, "interval": 0.01})
    async with running(temporal_client, script):
        report = await temporal_client.execute_workflow(
            ReconcileWorkflow.run,
            request,
            id=new_id("reconcile"),
            task_queue=task_queues.ORCHESTRATION,
        )
    assert len(script.asked) == 4
    assert report == ReconcileReport(connections=2, started=4, ended=8)


def test_frequent_work_takes_an_execution_an_hour() -> None:
    found = {each.id: each.request.model_dump() for each in all_rounds(Settings())}
    for name in ("inbound-relay", "inbound-reconcile", "execution-reconcile"):
        assert found[name]["passes"] * found[name]["interval"] == 3600.0


def rounds(name: str, *, hours: float) -> IntervalSchedule:
    return IntervalSchedule(
        id=name,
        workflow=RelayWorkflow.run,
        request=QUICK_RELAY,
        every=timedelta(hours=hours),
        note="Deliver what waits",
    )


async def test_a_schedule_is_made_once_and_brought_up_to_date(temporal_client: Client) -> None:
    name = f"test-{uuid4()}"
    handle = temporal_client.get_schedule_handle(name)
    await ensure_schedule(temporal_client, rounds(name, hours=1))
    await handle.pause(note="by an operator")
    await ensure_schedule(temporal_client, rounds(name, hours=2))
    found = (await handle.describe()).schedule
    assert [each.every for each in found.spec.intervals] == [timedelta(hours=2)]
    assert found.state.paused
    await handle.delete()


async def first_action(handle: ScheduleHandle) -> ScheduleActionExecutionStartWorkflow:
    while True:
        for each in (await handle.describe()).info.recent_actions:
            assert isinstance(each.action, ScheduleActionExecutionStartWorkflow)
            return each.action
        await asyncio.sleep(0.05)


async def test_a_schedule_starts_its_rounds(temporal_client: Client) -> None:
    name = f"test-{uuid4()}"
    handle = temporal_client.get_schedule_handle(name)
    async with running(temporal_client, ScriptedInbound()):
        await ensure_schedule(temporal_client, rounds(name, hours=1))
        await handle.trigger()
        started = await first_action(handle)
        result = await temporal_client.get_workflow_handle(started.workflow_id).result()
    assert result["delivered"] == 5
    await handle.delete()


async def test_workers_make_all_schedules_together(temporal_client: Client) -> None:
    settings = Settings(relay_interval=3600.0, reconcile_interval=7200.0)
    for _ in range(2):
        await ensure_schedules(temporal_client, settings)
    for each in all_rounds(settings):
        handle = temporal_client.get_schedule_handle(each.id)
        found = (await handle.describe()).schedule
        assert [spec.every for spec in found.spec.intervals] == [each.every]
        await handle.delete()
