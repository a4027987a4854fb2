"""The worker serves every activity and workflow on the queue where workflows look for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from inspect import getmembers, isclass, isfunction
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities import interfaces
from app.container import Container
from app.dev.postgres import DatabaseUrls
from app.worker import ingest_activities, running, workers
from domain import task_queues
from infra.settings import Settings
from infra.temporal.backlog import log_backlogs


@pytest.fixture
async def container(
    temporal_client: Client, postgres: DatabaseUrls, tmp_path: Path
) -> AsyncIterator[Container]:
    settings = Settings(
        database_url=SecretStr(postgres.application),
        clip_store=str(tmp_path / "clips"),
        segment_store=str(tmp_path / "segments"),
    )
    async with Container(settings, client=temporal_client) as container:
        yield container


@pytest.fixture
async def served(container: Container, temporal_client: Client) -> AsyncIterator[Sequence[Worker]]:
    ingest = ingest_activities(container)
    yield workers(container, temporal_client, ingest)
    await ingest.close()


def activities_of(worker: Worker) -> set[str]:
    found = set()
    for each in worker.config().get("activities", []):
        definition = activity._Definition.from_callable(each)
        assert definition is not None
        found.add(str(definition.name))
    return found


def declared() -> set[str]:
    """Every activity that a workflow can name."""
    found = set()
    for _, interface in getmembers(interfaces, isclass):
        for _, method in getmembers(interface, isfunction):
            definition = activity._Definition.from_callable(method)
            if definition is not None:
                found.add(str(definition.name))
    return found


async def eventually(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not check():  # noqa: ASYNC110 - another process decides when
            await asyncio.sleep(0.05)


async def test_there_is_one_worker_for_each_queue(served: Sequence[Worker]) -> None:
    assert sorted(worker.task_queue for worker in served) == sorted(task_queues.ALL)


async def test_a_worker_with_media_on_its_own_disk_has_a_queue_for_its_clips(
    container: Container, temporal_client: Client
) -> None:
    container.worker_name = "render-1-0123456789ab"
    ingest = ingest_activities(container)
    by_queue = {
        each.task_queue: activities_of(each) for each in workers(container, temporal_client, ingest)
    }
    await ingest.close()
    own = "highlights-render@render-1-0123456789ab"
    assert set(by_queue) - set(task_queues.ALL) == {own}
    assert by_queue[own] == by_queue[task_queues.RENDER]


async def test_every_activity_is_served_once_on_its_queue(served: Sequence[Worker]) -> None:
    by_queue = {worker.task_queue: activities_of(worker) for worker in served}
    assert by_queue[task_queues.ANALYSIS] == {"analyze_window"}
    assert by_queue[task_queues.RENDER] == {
        *("render_clip", "delete_clip", "render_export", "delete_export"),
    }
    assert by_queue[task_queues.ORCHESTRATION] == set()
    everywhere = [name for names in by_queue.values() for name in names]
    assert sorted(everywhere) == sorted(declared())


async def test_workflows_are_served_where_they_are_started(served: Sequence[Worker]) -> None:
    (orchestration,) = [each for each in served if each.task_queue == task_queues.ORCHESTRATION]
    names = {workflow.__name__ for workflow in orchestration.config().get("workflows", [])}
    assert {"StreamWorkflow", "ClipWorkflow"} <= names


@pytest.mark.parametrize(
    ("queues", "own"),
    [
        ((task_queues.RENDER, task_queues.DELIVER), set()),
        ((task_queues.IO,), {"highlights-render@host-0123456789ab"}),
    ],
)
async def test_a_worker_serves_the_queues_of_its_settings(
    container: Container, temporal_client: Client, queues: tuple[str, ...], own: set[str]
) -> None:
    container.settings = container.settings.model_copy(update={"worker_queues": queues})
    container.worker_name = "host-0123456789ab"
    ingest = ingest_activities(container)
    served = workers(container, temporal_client, ingest)
    await ingest.close()
    assert {each.task_queue for each in served} == {*queues, *own}


async def test_workers_of_some_queues_stop_in_order(
    container: Container, temporal_client: Client
) -> None:
    queues = (task_queues.ORCHESTRATION, task_queues.DELIVER)
    container.settings = container.settings.model_copy(update={"worker_queues": queues})
    ingest = ingest_activities(container)
    served = workers(container, temporal_client, ingest)
    async with running(served):
        await eventually(lambda: all(each.is_running for each in served))
    await ingest.close()
    assert not any(each.is_running for each in served)


async def test_the_backlog_of_a_queue_is_logged_as_a_metric(temporal_client: Client) -> None:
    await temporal_client.start_workflow(
        "NotServed", id=f"waits-{uuid4()}", task_queue=task_queues.ORCHESTRATION
    )
    with capture_logs() as logs:
        watching = asyncio.create_task(
            log_backlogs(temporal_client, [task_queues.ORCHESTRATION], interval=0.1)
        )
        await eventually(lambda: any(each.get("task_queue_backlog") for each in logs))
        watching.cancel()
    line = next(each for each in logs if each.get("task_queue_backlog"))
    (declared_metric,) = line["_aws"]["CloudWatchMetrics"]
    assert line["task_queue"] == "highlights"
    assert declared_metric["Metrics"] == [{"Name": "task_queue_backlog", "Unit": "Count"}]
    assert declared_metric["Dimensions"] == [["environment", "task_queue"]]
