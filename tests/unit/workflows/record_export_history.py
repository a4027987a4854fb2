"""Records the histories of exports: `python -m tests.unit.workflows.record_export_history`.

When to run it is said in `record_history.py`.
"""

from __future__ import annotations

import asyncio

from temporalio.client import Client, WorkflowFailureError

from tests.fakes.scripted_exports import ScriptedExports, running, start
from tests.unit.workflows.record_history import record_on_own_server, store


async def record_exported(client: Client) -> None:
    """Three renditions together; one of them fails, so that each is made alone."""
    steps = ScriptedExports(
        lambda request: RuntimeError("broken") if 2 in request.numbers else None
    )
    async with running(client, steps):
        workflow = await start(client)
        await workflow.result()
    await store(workflow, "exported")


async def record_export_cancelled(client: Client) -> None:
    """Canceled while it renders."""
    steps = ScriptedExports()
    steps.blocked = asyncio.Event()
    async with running(client, steps):
        workflow = await start(client)
        await steps.begun.wait()
        await workflow.cancel()
        try:
            await workflow.result()
        except WorkflowFailureError:
            await store(workflow, "export-cancelled")


if __name__ == "__main__":
    asyncio.run(record_on_own_server((record_exported, record_export_cancelled)))
