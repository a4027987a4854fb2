"""Records the history of a deletion: `python -m tests.unit.workflows.record_deletion_history`.

When to run it is said in `record_history.py`.
"""

from __future__ import annotations

import asyncio
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.interfaces import Deletions
from app.worker import workflow_runner
from domain import task_queues
from domain.ids import deletion_workflow_id
from domain.streams.deletion import DeletionInput, DeletionProof
from tests.unit.workflows.record_history import record_on_own_server, store
from workflows.deletion import DeletionWorkflow


class ScriptedDeletion(Deletions):
    """Finds something left the first time."""

    def __init__(self) -> None:
        self.attempts = 0

    @activity.defn(name="delete_stream")
    async def delete_stream(self, request: DeletionInput) -> DeletionProof:
        self.attempts += 1
        if self.attempts == 1:
            raise RuntimeError(f"something of {request.stream_id} is left")
        return DeletionProof(rows={"streams": 1}, files=2, media=3)


async def record_deletion(client: Client) -> None:
    """Repeated once."""
    steps = ScriptedDeletion()
    request = DeletionInput(tenant_id=uuid4(), stream_id=uuid4(), retry_interval=0.01)
    async with (
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[DeletionWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(client, task_queue=task_queues.IO, activities=[steps.delete_stream]),
    ):
        workflow = await client.start_workflow(
            DeletionWorkflow.run,
            request,
            id=deletion_workflow_id(tenant_id=request.tenant_id, stream_id=request.stream_id),
            task_queue=task_queues.ORCHESTRATION,
        )
        await workflow.result()
    await store(workflow, "deletion")


if __name__ == "__main__":
    asyncio.run(record_on_own_server((record_deletion,)))
