"""The correlation id of a caller reaches workflows, activities, children and the next run."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
import structlog
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from app.dev.temporal import TemporalServer
from infra.settings import Settings
from infra.telemetry.temporal import temporal_interceptors
from infra.temporal.client import connect

Ids = dict[str, str]
QUEUE = "correlation"


@activity.defn
async def bound_ids() -> Ids:
    return {name: str(value) for name, value in structlog.contextvars.get_contextvars().items()}


async def ids_of_activity() -> Ids:
    return await workflow.execute_activity(bound_ids, start_to_close_timeout=timedelta(seconds=60))


@workflow.defn(sandboxed=False)
class Child:
    @workflow.run
    async def run(self) -> Ids:
        return await ids_of_activity()


@workflow.defn(sandboxed=False)
class Parent:
    @workflow.run
    async def run(self, seen: list[Ids]) -> list[Ids]:
        workflow.logger.warning("run %d", len(seen))
        seen.append(await ids_of_activity())
        if len(seen) == 1:
            seen.append(await workflow.execute_child_workflow(Child.run, id=f"child-{uuid4()}"))
            workflow.continue_as_new(seen)
        return seen


@pytest.fixture
async def client(temporal_server: TemporalServer) -> AsyncIterator[Client]:
    settings = Settings(temporal_address=temporal_server.address)
    client = await connect(settings, interceptors=temporal_interceptors(settings))
    async with Worker(client, task_queue=QUEUE, workflows=[Parent, Child], activities=[bound_ids]):
        yield client


async def run(client: Client, workflow_id: str) -> list[Ids]:
    seen: list[Ids] = []
    return await client.execute_workflow(
        Parent.run, seen, id=workflow_id, task_queue=QUEUE, execution_timeout=timedelta(minutes=1)
    )


async def test_it_is_that_of_the_caller_everywhere(client: Client) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="req-1"):
        seen = await run(client, f"stream/t-{uuid4()}/s-1")
    assert [each["correlation_id"] for each in seen] == ["req-1"] * 3


async def test_a_workflow_started_without_one_has_its_own_id(client: Client) -> None:
    workflow_id = f"stream/t-{uuid4()}/s-1"
    seen = await run(client, workflow_id)
    assert [each["correlation_id"] for each in seen] == [workflow_id] * 3


async def test_activities_know_the_tenant_and_the_subject_of_their_workflow(
    client: Client,
) -> None:
    seen = await run(client, f"stream/t-{uuid4()}/s-1")
    assert seen[0]["tenant_id"].startswith("t-")
    assert (seen[0]["stream_id"], seen[0]["activity_type"]) == ("s-1", "bound_ids")
    assert "stream_id" not in seen[1]


async def test_log_lines_of_a_workflow_have_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[dict[str, object]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("run "):
                bound.append(structlog.contextvars.get_contextvars())

    monkeypatch.setattr(workflow.logger.base_logger, "handlers", [Handler()])
    with structlog.contextvars.bound_contextvars(correlation_id="req-2"):
        await run(client, f"stream/t-{uuid4()}/s-1")
    assert [each["correlation_id"] for each in bound] == ["req-2"] * 2
