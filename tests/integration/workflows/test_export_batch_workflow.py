"""A batch makes all of its exports, a few at a time, and each of them once."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from domain.exports.models import ExportStatus
from tests.fakes.scripted_batches import ScriptedBatch, running_batch, start_batch
from workflows.export_batch import ExportBatchWorkflow

pytestmark = pytest.mark.timeout(90)
READY, QUEUED, FAILED = ExportStatus.READY, ExportStatus.QUEUED, ExportStatus.FAILED


async def test_all_exports_are_made_over_several_runs(temporal_client: Client) -> None:
    steps = ScriptedBatch(7)
    async with running_batch(temporal_client, steps):
        await (await start_batch(temporal_client, steps, pages=1)).result()
    assert steps.with_status(READY) == [1, 2, 3, 4, 5, 6, 7]
    assert len(steps.rendered) == 7
    assert steps.finished == 1


async def test_an_export_that_fails_does_not_stop_the_others(temporal_client: Client) -> None:
    gone = ApplicationError("No media.", type="media_missing", non_retryable=True)
    steps = ScriptedBatch(3)
    second = steps.specs[2].id
    steps.fault = lambda request: gone if request.spec.id == second else None
    async with running_batch(temporal_client, steps):
        await (await start_batch(temporal_client, steps)).result()
    assert (steps.with_status(READY), steps.with_status(FAILED)) == ([1, 3], [2])
    assert steps.finished == 1


async def test_a_canceled_batch_begins_nothing_and_can_be_resumed(temporal_client: Client) -> None:
    steps = ScriptedBatch(5)
    steps.blocked = asyncio.Event()
    async with running_batch(temporal_client, steps):
        handle = await start_batch(temporal_client, steps)
        async with asyncio.timeout(60):
            await steps.busy.wait()
        await handle.signal(ExportBatchWorkflow.cancel)
        steps.blocked.set()
        await handle.result()
        assert steps.with_status(READY) == [1, 2]
        assert (steps.with_status(QUEUED), steps.finished) == ([3, 4, 5], 0)
        await (await start_batch(temporal_client, steps, is_resumed=True)).result()
    assert steps.with_status(READY) == [1, 2, 3, 4, 5]
    assert len(steps.rendered) == 5
    assert steps.finished == 1


async def test_a_batch_resumed_before_it_has_stopped_goes_on(temporal_client: Client) -> None:
    steps = ScriptedBatch(5)
    steps.blocked = asyncio.Event()
    async with running_batch(temporal_client, steps):
        handle = await start_batch(temporal_client, steps)
        async with asyncio.timeout(60):
            await steps.busy.wait()
        await handle.signal(ExportBatchWorkflow.cancel)
        again = await start_batch(temporal_client, steps, is_resumed=True)
        steps.blocked.set()
        await again.result()
    assert steps.with_status(READY) == [1, 2, 3, 4, 5]
    assert len(steps.rendered) == 5
    assert steps.finished == 1
