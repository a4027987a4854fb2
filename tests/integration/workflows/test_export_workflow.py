"""An export ends as its renditions do; what it must not leave behind is deleted."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from domain.exports.models import ExportStatus
from tests.fakes.scripted_exports import ScriptedExports, running, start

pytestmark = pytest.mark.timeout(60)


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


async def test_an_export_whose_worker_dies_as_it_is_canceled_is_canceled(
    temporal_client: Client,
) -> None:
    steps = ScriptedExports()
    steps.blocked = asyncio.Event()
    async with running(temporal_client, steps):
        handle = await start(temporal_client)
        await steps.begun.wait()
        steps.dead = True
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        steps.blocked.set()
    assert isinstance(failure.value.cause, CancelledError)
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
