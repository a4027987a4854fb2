"""An export ends as its renditions do; what it must not leave behind is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
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
    Rendition,
    RenditionFormat,
)
from infra.db.errors import RecordMissingError
from workflows.export import ExportWorkflow

pytestmark = pytest.mark.timeout(60)

Fault = Callable[[RenderExportInput], Exception | None]


class ScriptedExports(Exports):
    """Activities that render nothing and remember what they were asked for."""

    def __init__(self, fault: Fault = lambda _: None, *, is_deleted: bool = False) -> None:
        self.fault = fault
        self.is_deleted = is_deleted
        self.blocked: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.rendered: list[tuple[int, ...]] = []
        self.deleted: set[int] = set()
        self.records: list[ExportRecord] = []

    @activity.defn(name="render_export")
    async def render_export(self, request: RenderExportInput) -> RenderedExport:
        self.rendered.append(request.numbers)
        self.begun.set()
        while self.blocked is not None and not self.blocked.is_set():
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
        renditions=(Rendition(format=RenditionFormat.MP4),) * renditions,
    )
    return await client.start_workflow(
        ExportWorkflow.run,
        ExportInput(spec=spec, timing=ExportTiming(retry_interval=0.01, attempts=2)),
        id=f"export/{spec.id}",
        task_queue=task_queues.ORCHESTRATION,
    )


async def test_all_renditions_are_rendered_together(temporal_client: Client) -> None:
    steps = ScriptedExports()
    async with running(temporal_client, steps):
        handle = await start(temporal_client)
        assert await handle.result() is ExportStatus.READY
    assert steps.rendered == [(1, 2, 3)]
    assert [each.status for each in steps.records] == [ExportStatus.RUNNING, ExportStatus.READY]
    assert [each.number for each in steps.records[-1].renditions] == [1, 2, 3]
    assert steps.deleted == set()


async def test_one_bad_rendition_does_not_cost_the_others(temporal_client: Client) -> None:
    steps = ScriptedExports(
        lambda request: RuntimeError("secret path") if 2 in request.numbers else None
    )
    async with running(temporal_client, steps):
        handle = await start(temporal_client)
        assert await handle.result() is ExportStatus.FAILED
    last = steps.records[-1]
    states = [each.status for each in last.renditions]
    assert states == [ExportStatus.READY, ExportStatus.FAILED, ExportStatus.READY]
    assert "secret" not in last.message
    assert last.message.startswith("1 of 3 renditions failed; rendition 2:")
    assert steps.deleted == {2}


async def test_a_source_that_is_gone_fails_all_at_once(temporal_client: Client) -> None:
    gone = ApplicationError("No media at 3 s.", type="media_missing", non_retryable=True)
    steps = ScriptedExports(lambda _: gone)
    async with running(temporal_client, steps):
        handle = await start(temporal_client)
        assert await handle.result() is ExportStatus.FAILED
    assert steps.rendered == [(1, 2, 3)]
    assert {each.message for each in steps.records[-1].renditions} == {"No media at 3 s."}


async def test_a_canceled_export_leaves_no_file(temporal_client: Client) -> None:
    steps = ScriptedExports()
    steps.blocked = asyncio.Event()
    async with running(temporal_client, steps):
        handle = await start(temporal_client)
        await steps.begun.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert steps.deleted == {1, 2, 3}
    assert steps.records[-1].status is ExportStatus.CANCELLED


async def test_an_export_that_was_deleted_meanwhile_leaves_no_file(
    temporal_client: Client,
) -> None:
    steps = ScriptedExports(is_deleted=True)
    async with running(temporal_client, steps):
        handle = await start(temporal_client)
        assert await handle.result() is ExportStatus.CANCELLED
    assert steps.deleted == {1, 2, 3}
