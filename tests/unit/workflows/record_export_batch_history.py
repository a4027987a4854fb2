"""Records the histories of batches: `python -m tests.unit.workflows.record_export_batch_history`.

When to run it is said in `record_history.py`.
"""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from tests.fakes.scripted_batches import ScriptedBatch, running_batch, start_batch
from tests.unit.workflows.record_history import record_on_own_server, store
from workflows.export_batch import ExportBatchWorkflow


async def record_batch(client: Client) -> None:
    """Four exports in two pages."""
    steps = ScriptedBatch(4)
    async with running_batch(client, steps):
        workflow = await start_batch(client, steps)
        await workflow.result()
    await store(workflow, "export-batch")


async def record_resumed(client: Client) -> None:
    """Canceled while two exports are made, and resumed before they are."""
    steps = ScriptedBatch(4)
    steps.blocked = asyncio.Event()
    async with running_batch(client, steps):
        workflow = await start_batch(client, steps)
        await steps.busy.wait()
        await workflow.signal(ExportBatchWorkflow.cancel)
        await start_batch(client, steps, is_resumed=True)
        steps.blocked.set()
        await workflow.result()
    await store(workflow, "export-batch-resumed")


if __name__ == "__main__":
    asyncio.run(record_on_own_server((record_batch, record_resumed)))
