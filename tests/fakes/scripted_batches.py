"""Activities of a batch whose exports are in memory, and an ExportBatchWorkflow over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from activities.interfaces import ExportBatches
from app.worker import workflow_runner
from domain import task_queues
from domain.exports.batches import (
    BatchItem,
    BatchRef,
    ExportBatchInput,
    NextExports,
    NextExportsInput,
)
from domain.exports.models import (
    ExportRecord,
    ExportSource,
    ExportSpec,
    ExportStatus,
    RenderedExport,
    RenderExportInput,
    RenditionFormat,
    RenditionSpec,
)
from domain.ids import batch_export_id, export_batch_workflow_id
from tests.fakes.scripted_exports import Fault, ScriptedExports
from workflows.export import ExportWorkflow
from workflows.export_batch import ExportBatchWorkflow


class ScriptedBatch(ScriptedExports, ExportBatches):
    """A batch of exports that render nothing.

    Args:
        exports: how many it has.
        fault: the error of a rendering, if any.
    """

    def __init__(self, exports: int, fault: Fault = lambda _: None) -> None:
        super().__init__(fault)
        self.ref = BatchRef(tenant_id=uuid4(), batch_id=uuid4())
        self.specs = {
            number: ExportSpec(
                id=batch_export_id(batch=self.ref.batch_id, number=number),
                tenant_id=self.ref.tenant_id,
                source=ExportSource(stream_id=uuid4(), start=0.0, end=4.0),
                renditions=(RenditionSpec(format=RenditionFormat.MP4),),
            )
            for number in range(1, exports + 1)
        }
        self.statuses = dict.fromkeys(self.specs, ExportStatus.QUEUED)
        self.started = 0
        self.busy = asyncio.Event()
        """Set when two exports have begun."""
        self.finished = 0

    @activity.defn(name="start_export_batch")
    async def start_export_batch(self, batch: BatchRef) -> None:
        assert batch == self.ref
        self.started += 1

    @activity.defn(name="next_exports")
    async def next_exports(self, request: NextExportsInput) -> NextExports:
        queued = [
            BatchItem(number=number, spec=self.specs[number])
            for number, status in self.statuses.items()
            if status is ExportStatus.QUEUED and number > request.after
        ]
        return NextExports(items=tuple(queued[: request.limit]))

    @activity.defn(name="finish_export_batch")
    async def finish_export_batch(self, batch: BatchRef) -> None:
        assert batch == self.ref
        self.finished += 1

    @activity.defn(name="render_export")
    async def render_export(self, request: RenderExportInput) -> RenderedExport:
        if self.rendered:
            self.busy.set()
        return await super().render_export(request)

    @activity.defn(name="record_export")
    async def record_export(self, record: ExportRecord) -> None:
        (number,) = (n for n, spec in self.specs.items() if spec.id == record.export_id)
        self.statuses[number] = record.status
        self.records.append(record)

    def with_status(self, status: ExportStatus) -> list[int]:
        return [number for number, each in self.statuses.items() if each is status]


@asynccontextmanager
async def running_batch(client: Client, steps: ScriptedBatch) -> AsyncIterator[None]:
    async with (
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[ExportWorkflow, ExportBatchWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(
            client,
            task_queue=task_queues.IO,
            activities=[
                *(steps.record_export, steps.start_export_batch),
                *(steps.next_exports, steps.finish_export_batch),
            ],
        ),
        Worker(
            client,
            task_queue=task_queues.RENDER,
            activities=[steps.render_export, steps.delete_export],
        ),
    ):
        yield


async def start_batch(
    client: Client, steps: ScriptedBatch, *, is_resumed: bool = False, pages: int = 16
) -> WorkflowHandle[ExportBatchWorkflow, None]:
    ref = steps.ref
    return await client.start_workflow(
        ExportBatchWorkflow.run,
        ExportBatchInput(batch=ref, at_a_time=2, page=3, pages=pages),
        id=export_batch_workflow_id(tenant_id=ref.tenant_id, batch=ref.batch_id),
        task_queue=task_queues.ORCHESTRATION,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal="resume" if is_resumed else None,
    )
