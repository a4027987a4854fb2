"""Workflows that were started by older code go on under this one: stored histories replay."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError, SandboxImportNotificationPolicy

from app.worker import WORKFLOWS, workflow_runner
from infra.telemetry.temporal import CorrelationInterceptor
from tests.unit.workflows.changed_stream import ChangedStreamWorkflow
from workflows.stream import StreamWorkflow

HISTORIES = {path.stem: path for path in Path(__file__).with_name("histories").glob("*.json")}


def history(name: str) -> WorkflowHistory:
    document = json.loads(HISTORIES[name].read_text())
    return WorkflowHistory.from_json(document.pop("workflow_id"), document)


def strict_runner() -> SandboxedWorkflowRunner:
    """Our runner; a module that gets past the sandbox without being named there is an error."""
    runner = workflow_runner()
    restrictions = dataclasses.replace(
        runner.restrictions,
        import_notification_policy=SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH,
    )
    return dataclasses.replace(runner, restrictions=restrictions)


def replayer(stream: type) -> Replayer:
    return Replayer(
        workflows=[stream, *(each for each in WORKFLOWS if each is not StreamWorkflow)],
        workflow_runner=strict_runner(),
        data_converter=pydantic_data_converter,
        interceptors=[CorrelationInterceptor()],  # no stored history has its header
    )


@pytest.mark.parametrize("name", sorted(HISTORIES))
async def test_a_stored_history_replays(name: str) -> None:
    await replayer(StreamWorkflow).replay_workflow(history(name))


def test_every_kind_of_life_is_stored() -> None:
    assert set(HISTORIES) == {
        "backfill",
        "cancelled",
        "clip",
        "completed",
        "continued-first",
        "continued-last",
        "corrected",
        "deletion",
        "delivered",
        "delivery-continued-first",
        "delivery-continued-last",
        "outbox-relay",
        "execution-reconcile",
        "export-cancelled",
        "exported",
        "export-batch",
        "export-batch-resumed",
        "failed",
        "fed",
        "failed-unrecorded",
        "maintenance",
        "inbound-reconcile",
        "inbound-relay",
        "follow-cancelled",
        "follow-completed",
        "follow-continued-first",
        "follow-continued-last",
        "follow-corrected",
        "follow-failed",
        "follow-failed-unrecorded",
        "follow-late",
        "follow-reanalyzed",
        "follow-recorded",
        "follow-stopped",
        "awaited-cancelled",
        "awaited-clip",
        "awaited-completed",
        "awaited-continued-first",
        "awaited-continued-last",
        "awaited-corrected",
        "awaited-late",
        "awaited-reanalyzed",
        "awaited-recorded",
        "awaited-stopped",
        "recording",
        "missed",
        "relay",
        "session",
        "recorded",
        "recorded-before-backfill",
        "stopped",
    }


@pytest.mark.parametrize("name", ["completed", "follow-completed"])
async def test_a_change_of_order_is_caught(name: str) -> None:
    with pytest.raises(NondeterminismError):
        await replayer(ChangedStreamWorkflow).replay_workflow(history(name))
