"""Records the delivery histories: `python -m tests.unit.workflows.record_delivery_history`.

When to run it is said in `record_history.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.interfaces import Webhooks
from app.worker import workflow_runner
from domain import task_queues
from domain.ids import delivery_workflow_id
from domain.webhooks.delivery import (
    AttemptOutcome,
    AttemptRequest,
    DeliveryInput,
    DeliveryOrder,
    DeliveryResult,
    DeliveryTiming,
    OutboxRelayPass,
)
from tests.unit.workflows.record_history import record_on_own_server, store
from workflows.delivery import DeliveryWorkflow

_TIMING = DeliveryTiming(offsets=(0.0, 0.1, 0.2), jitter=0.1, retry_interval=0.05)


class ScriptedWebhooks(Webhooks):
    """Answers attempts at each delivery from a list, then with success."""

    def __init__(self, outcomes: dict[int, list[AttemptOutcome]]) -> None:
        self._outcomes = outcomes
        self.relayed = 0

    @activity.defn(name="deliver")
    async def deliver(self, request: AttemptRequest) -> AttemptOutcome:
        """Answer as scripted."""
        left = self._outcomes.get(request.delivery_id.int, [])
        return left.pop(0) if left else AttemptOutcome.SUCCEEDED

    @activity.defn(name="relay_events")
    async def relay_events(self) -> OutboxRelayPass:
        """Find nothing, or an outage."""
        self.relayed += 1
        if self.relayed == 2:
            raise ConnectionError("PostgreSQL does not answer")
        return OutboxRelayPass(tenants=0)


async def record_delivered(client: Client) -> None:
    """Four deliveries: retried, given up, dropped, and one that hurries the wait."""
    failed, dropped = AttemptOutcome.FAILED, AttemptOutcome.DROPPED
    script = {1: [failed, failed], 2: [failed] * 3, 3: [dropped]}
    async with _running(client, ScriptedWebhooks(script)):
        workflow = await _start(client, orders=4)
        await workflow.signal(
            DeliveryWorkflow.deliver,
            DeliveryOrder(delivery_id=UUID(int=1), position=1, at_once=True),
        )
        await workflow.result()
    await store(workflow, "delivered")


async def record_delivery_continued(client: Client) -> None:
    """A queue that is too long for one run: both of its runs."""
    async with _running(client, ScriptedWebhooks({1: [AttemptOutcome.FAILED]})):
        workflow = await _start(client, orders=6, history_limit=40)
        await workflow.result()
    first = client.get_workflow_handle(workflow.id, run_id=workflow.first_execution_run_id)
    await store(first, "delivery-continued-first")
    await store(client.get_workflow_handle(workflow.id), "delivery-continued-last")


@asynccontextmanager
async def _running(client: Client, webhooks: ScriptedWebhooks) -> AsyncIterator[None]:
    async with (
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[DeliveryWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(client, task_queue=task_queues.IO, activities=[webhooks.relay_events]),
        Worker(client, task_queue=task_queues.DELIVER, activities=[webhooks.deliver]),
    ):
        yield


async def _start(
    client: Client, *, orders: int, history_limit: int | None = None
) -> WorkflowHandle[DeliveryWorkflow, DeliveryResult]:
    """Start a delivery workflow with some orders, as the dispatcher does."""
    request = DeliveryInput(
        tenant_id=uuid4(),
        endpoint_id=uuid4(),
        ordering_key="highlight/1",
        timing=_TIMING,
        history_limit=history_limit,
    )
    workflow = await client.start_workflow(
        DeliveryWorkflow.run,
        request,
        id=delivery_workflow_id(
            tenant_id=request.tenant_id,
            endpoint_id=request.endpoint_id,
            ordering_key=request.ordering_key,
        ),
        task_queue=task_queues.ORCHESTRATION,
    )
    for number in range(1, orders + 1):
        order = DeliveryOrder(delivery_id=UUID(int=number), position=number)
        await workflow.signal(DeliveryWorkflow.deliver, order)
    return workflow


if __name__ == "__main__":
    asyncio.run(record_on_own_server((record_delivered, record_delivery_continued)))
