"""Records what fails or is repaired: `python -m tests.unit.workflows.record_failure_histories`.

When to run it is said in `record_history.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.interfaces import ExecutionReconciler
from app.worker import workflow_runner
from domain import task_queues
from domain.streams.reconciliation import ReconcileExecutionsInput, ReconcileExecutionsReport
from domain.streams.status import EndReason, ProblemCode, StreamEnd, StreamProblem
from tests.fakes.scripted_stream import Script, failing, running, start
from tests.unit.workflows.record_history import record_on_own_server, store
from workflows.reconcile import ReconcileExecutionsWorkflow
from workflows.steps import RECORD_MISSING

_UNREACHABLE = StreamEnd(reason=EndReason.ORIGIN_UNREACHABLE, message="The origin is away.")


class ScriptedReconciler(ExecutionReconciler):
    """Repairs a stream, fails for a whole pass, then finds nothing."""

    def __init__(self) -> None:
        self._calls = 0

    @activity.defn(name="reconcile_executions")
    async def reconcile_executions(
        self, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        """Answer as scripted."""
        self._calls += 1
        if 1 < self._calls <= 1 + request.attempts:
            raise ConnectionError("PostgreSQL does not answer")
        return ReconcileExecutionsReport(streams_ended=int(self._calls == 1))


async def record_reconciled(client: Client) -> None:
    """Three passes, of which the second fails."""
    request = ReconcileExecutionsInput(interval=0.1, passes=3, retry_interval=0.01)
    async with (
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[ReconcileExecutionsWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(
            client,
            task_queue=task_queues.IO,
            activities=[ScriptedReconciler().reconcile_executions],
        ),
    ):
        passes = await client.start_workflow(
            ReconcileExecutionsWorkflow.run,
            request,
            id="execution-reconcile",
            task_queue=task_queues.ORCHESTRATION,
        )
        await passes.result()
    await store(passes, "execution-reconcile")


async def record_failed(client: Client) -> None:
    """A stream with a problem, whose origin stays away: its workflow fails."""
    script = Script(windows=3, end=_UNREACHABLE, peaks=[9.0])
    script.problems = {
        1: StreamProblem(code=ProblemCode.AUDIO_UNAVAILABLE, message="No separate audio.")
    }
    async with running(client, script):
        stream = await start(client)
        with suppress(WorkflowFailureError):
            await stream.result()
    await store(stream, "follow-failed")


async def record_unrecorded(client: Client) -> None:
    """A stream whose row was deleted: its state cannot be stored, which fails the workflow."""
    script = Script(windows=3, end=None)
    gone = ApplicationError("the stream does not exist", type=RECORD_MISSING)
    script.before["record_stream"] = failing(10_000, gone)
    async with running(client, script):
        stream = await start(client)
        with suppress(WorkflowFailureError):
            await stream.result()
    await store(stream, "follow-failed-unrecorded")


if __name__ == "__main__":
    asyncio.run(record_on_own_server((record_reconciled, record_failed, record_unrecorded)))
