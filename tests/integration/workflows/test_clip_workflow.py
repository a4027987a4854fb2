"""A clip is rendered where its media is, and anywhere else if that worker does not begin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from app.worker import workflow_runner
from domain import task_queues
from domain.clips.models import ClipInput, ClipOutcome, ClipSpec, ClipStatus, ClipTiming
from tests.fakes.scripted_stream import Script, ScriptedActivities, failing, window
from workflows.clip import ClipWorkflow

pytestmark = pytest.mark.timeout(60)

OWNER = "render-1-0123456789ab"


@asynccontextmanager
async def running(client: Client, shared: Script, own: Script | None) -> AsyncIterator[None]:
    """Workers for the shared queues and, with `own`, for the owner's."""
    steps = ScriptedActivities(shared)
    orchestration = Worker(
        client,
        task_queue=task_queues.ORCHESTRATION,
        workflows=[ClipWorkflow],
        workflow_runner=workflow_runner(),
    )
    records = Worker(client, task_queue=task_queues.IO, activities=[steps.record_clip])
    render = Worker(client, task_queue=task_queues.RENDER, activities=[steps.render_clip])
    async with orchestration, records, render:
        if own is None:
            yield
            return
        queue = task_queues.of_worker(task_queues.RENDER, OWNER)
        async with Worker(
            client, task_queue=queue, activities=[ScriptedActivities(own).render_clip]
        ):
            yield


async def render(
    client: Client,
    *,
    worker: str | None = OWNER,
    worker_timeout: float = 30.0,
    on_demand: bool = False,
) -> ClipOutcome:
    segments = window(0).segments
    spec = ClipSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        stream_id=uuid4(),
        highlight_id=None if on_demand else uuid4(),
        start=0.0,
        end=6.0,
        peak=3.0,
        segments=segments,
    )
    return await client.execute_workflow(
        ClipWorkflow.run,
        ClipInput(
            spec=spec,
            stream_workflow=None if on_demand else "stream/none",
            timing=ClipTiming(retry_interval=0.01, worker_timeout=worker_timeout),
            worker=worker,
        ),
        id=f"clip/{spec.id}",
        task_queue=task_queues.ORCHESTRATION,
    )


async def test_the_worker_that_has_the_media_renders(temporal_client: Client) -> None:
    shared, own = Script(), Script()
    async with running(temporal_client, shared, own):
        outcome = await render(temporal_client)
    assert outcome.status is ClipStatus.READY
    assert (len(own.rendered), len(shared.rendered)) == (1, 0)


async def test_a_clip_on_demand_is_rendered_without_a_stream(temporal_client: Client) -> None:
    shared = Script()
    async with running(temporal_client, shared, own=None):
        outcome = await render(temporal_client, worker=None, on_demand=True)
    assert (outcome.status, outcome.highlight_id) == (ClipStatus.READY, None)


async def test_another_worker_renders_if_that_one_is_gone(temporal_client: Client) -> None:
    shared = Script()
    async with running(temporal_client, shared, own=None):
        outcome = await render(temporal_client, worker_timeout=0.2)
    assert outcome.status is ClipStatus.READY
    assert len(shared.rendered) == 1


async def test_a_rendering_that_fails_is_not_tried_again_elsewhere(temporal_client: Client) -> None:
    shared, own = Script(), Script()
    error = ApplicationError("damaged", type="media_damaged", non_retryable=True)
    own.before["render_clip"] = failing(9, error)
    async with running(temporal_client, shared, own):
        outcome = await render(temporal_client)
    assert outcome.status is ClipStatus.FAILED
    assert shared.rendered == []


async def test_without_such_a_worker_any_renders(temporal_client: Client) -> None:
    shared, own = Script(), Script()
    async with running(temporal_client, shared, own):
        outcome = await render(temporal_client, worker=None)
    assert outcome.status is ClipStatus.READY
    assert (len(own.rendered), len(shared.rendered)) == (0, 1)
