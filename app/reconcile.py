"""`highlights reconcile`: rows are compared with their executions now, not at the next pass."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy

from domain import task_queues
from domain.executions import ReconcileExecutionsInput, ReconcileExecutionsReport
from infra.errors import StartFailedError
from infra.settings import Settings
from infra.temporal import connect
from workflows.reconcile_executions import ReconcileExecutionsWorkflow

_LONGEST: Final = timedelta(minutes=10)
_SDK_SETTLES: Final = 0.2
"""Seconds in which the SDK's threads leave Python after the last answer: one that is still in it
when the interpreter ends aborts the process (temporalio/sdk-python issue 300)."""


async def reconcile_now(settings: Settings) -> ReconcileExecutionsReport:
    """Have a worker make one pass, and return what it repaired.

    Raises:
        NotConfiguredError: no Temporal is configured.
        StartFailedError: Temporal does not answer, or no worker made the pass in time.
    """
    client = await connect(settings)
    try:
        return await client.execute_workflow(
            ReconcileExecutionsWorkflow.run,
            ReconcileExecutionsInput(),
            id="execution-reconcile-now",
            task_queue=task_queues.ORCHESTRATION,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            execution_timeout=_LONGEST,
            static_summary="Repair what has lost its workflow, on demand",
        )
    except WorkflowFailureError as error:
        raise StartFailedError(
            "No worker has compared rows and workflows in time.",
            remedy="Check that a worker runs (`highlights doctor`).",
        ) from error
    finally:
        await asyncio.sleep(_SDK_SETTLES)
