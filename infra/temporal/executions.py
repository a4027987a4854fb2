"""Workflow executions as Temporal knows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from pydantic import ValidationError
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from domain.streams.messages import StreamWorkflowResult
from domain.streams.reconciliation import ExecutionState
from infra.temporal.client import TemporalUnavailableError

_RPC_TIMEOUT: Final = timedelta(seconds=5)
_STATES: Final = {
    WorkflowExecutionStatus.RUNNING: ExecutionState.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: ExecutionState.RUNNING,
    WorkflowExecutionStatus.COMPLETED: ExecutionState.COMPLETED,
    WorkflowExecutionStatus.FAILED: ExecutionState.FAILED,
    WorkflowExecutionStatus.CANCELED: ExecutionState.CANCELED,
    WorkflowExecutionStatus.TERMINATED: ExecutionState.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: ExecutionState.TIMED_OUT,
}


class Executions:
    """Reads the state of workflow executions.

    Args:
        client: gives Temporal's client, or raises TemporalUnavailableError.
    """

    def __init__(self, client: Callable[[], Awaitable[Client]]) -> None:
        self._client = client

    async def state(self, workflow_id: str) -> ExecutionState:
        """Return the state of the latest run of a workflow.

        Raises:
            TemporalUnavailableError: Temporal does not answer. That is not MISSING.
        """
        client = await self._client()
        try:
            found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return ExecutionState.MISSING
            raise TemporalUnavailableError(
                f"the workflow service does not answer: {error.message}"
            ) from error
        # A status that this SDK does not know is none of a lost execution.
        return _STATES.get(found.status or WorkflowExecutionStatus.RUNNING, ExecutionState.RUNNING)

    async def stream_result(self, workflow_id: str) -> StreamWorkflowResult | None:
        """Return how a closed stream workflow says that its stream ended; None if it does not.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        client = await self._client()
        handle = client.get_workflow_handle(workflow_id, result_type=StreamWorkflowResult)
        try:
            result: StreamWorkflowResult = await handle.result(rpc_timeout=_RPC_TIMEOUT)
        except WorkflowFailureError as error:
            cause = error.cause
            details = cause.details if isinstance(cause, ApplicationError) else ()
            try:
                return StreamWorkflowResult.model_validate(details[0]) if details else None
            except ValidationError:
                return None
        except WorkflowContinuedAsNewError:
            return None
        except RPCError as error:
            raise TemporalUnavailableError(
                f"the workflow service does not answer: {error.message}"
            ) from error
        return result
