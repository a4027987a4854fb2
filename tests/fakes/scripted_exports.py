"""Activities of exports that render nothing, and an ExportWorkflow started as the API does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.interfaces import Exports
from app.worker import workflow_runner
from domain import task_queues
from domain.exports.models import (
    ExportInput,
    ExportRecord,
    ExportSource,
    ExportSpec,
    ExportStatus,
    ExportTiming,
    RenderedExport,
    RenderedRendition,
    RenderExportInput,
    RenditionFormat,
    RenditionSpec,
)
from infra.db.errors import RecordMissingError
from workflows.export import ExportWorkflow

Fault = Callable[[RenderExportInput], Exception | None]


class ScriptedExports(Exports):
    """Activities that render nothing and remember what they were asked for.

    Args:
        fault: the error of a rendering, if any.
        is_deleted: whether the row is gone once the export is running.
    """

    def __init__(self, fault: Fault = lambda _: None, *, is_deleted: bool = False) -> None:
        self.fault = fault
        self.is_deleted = is_deleted
        self.blocked: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.dead = False  # send no heartbeat and see no cancellation, as a killed worker
        self.rendered: list[tuple[int, ...]] = []
        self.deleted: set[int] = set()
        self.records: list[ExportRecord] = []

    @activity.defn(name="render_export")
    async def render_export(self, request: RenderExportInput) -> RenderedExport:
        self.rendered.append(request.numbers)
        self.begun.set()
        while self.blocked is not None and not self.blocked.is_set():
            if not self.dead:
                activity.heartbeat()
            await asyncio.sleep(0.05)
        if (error := self.fault(request)) is not None:
            raise error
        return RenderedExport(
            renditions=tuple(
                RenderedRendition(number=number, key=request.spec.key(number), size=1)
                for number in request.numbers
            )
        )

    @activity.defn(name="delete_export")
    async def delete_export(self, request: RenderExportInput) -> None:
        self.deleted |= set(request.numbers)

    @activity.defn(name="record_export")
    async def record_export(self, record: ExportRecord) -> None:
        if self.is_deleted and record.status is not ExportStatus.RUNNING:
            raise RecordMissingError("export", record.export_id)
        self.records.append(record)


@asynccontextmanager
async def running(client: Client, steps: ScriptedExports) -> AsyncIterator[None]:
    async with (
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[ExportWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(client, task_queue=task_queues.IO, activities=[steps.record_export]),
        Worker(
            client,
            task_queue=task_queues.RENDER,
            activities=[steps.render_export, steps.delete_export],
        ),
    ):
        yield


async def start(
    client: Client, *, renditions: int = 3
) -> WorkflowHandle[ExportWorkflow, ExportStatus]:
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        source=ExportSource(stream_id=uuid4(), start=0.0, end=4.0),
        renditions=(RenditionSpec(format=RenditionFormat.MP4),) * renditions,
    )
    return await client.start_workflow(
        ExportWorkflow.run,
        ExportInput(
            spec=spec, timing=ExportTiming(heartbeat_timeout=1.0, retry_interval=0.01, attempts=2)
        ),
        id=f"export/{spec.id}",
        task_queue=task_queues.ORCHESTRATION,
    )
