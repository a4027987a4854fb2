"""Reads what the activities of a workflow were asked and returned from its history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from infra.temporal.client import TemporalUnavailableError

_RPC_TIMEOUT: Final = timedelta(seconds=30)

CallTypes = Mapping[str, tuple[type, type]]
"""Types of the request and of the result, by the name of an activity."""


@dataclass(frozen=True)
class CompletedCall:
    """A completed activity: its request and its result, of the types that were asked for."""

    request: object
    result: object


@dataclass(frozen=True)
class WorkflowRuns:
    """The runs of a workflow whose histories the server keeps, oldest first.

    Attributes:
        is_whole: True if they include the first one.
    """

    ids: tuple[str, ...]
    is_whole: bool


class WorkflowHistories:
    """Reads histories of workflows. Its methods raise TemporalUnavailableError.

    Args:
        client: gives Temporal's client, or raises TemporalUnavailableError.
    """

    def __init__(self, client: Callable[[], Awaitable[Client]]) -> None:
        self._client = client

    async def runs(self, workflow_id: str) -> WorkflowRuns:
        """Return the runs of a workflow, which continue one another as new."""
        ids: list[str] = []
        client = await self._client()
        try:
            described = await client.get_workflow_handle(workflow_id).describe(
                rpc_timeout=_RPC_TIMEOUT
            )
            run_id = described.run_id
            while run_id:
                first = await anext(self._events(client, workflow_id, run_id, page_size=1))
                ids.insert(0, run_id)
                run_id = (
                    first.workflow_execution_started_event_attributes.continued_execution_run_id
                )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise _unavailable(error) from error
            return WorkflowRuns(ids=tuple(ids), is_whole=False)
        return WorkflowRuns(ids=tuple(ids), is_whole=True)

    async def completed(
        self, workflow_id: str, run_id: str, types: CallTypes
    ) -> AsyncIterator[CompletedCall]:
        """Yield the completed calls of some activities in a run, in order of their completion."""
        client = await self._client()
        scheduled: dict[int, ActivityTaskScheduledEventAttributes] = {}
        try:
            async for event in self._events(client, workflow_id, run_id):
                asked = event.activity_task_scheduled_event_attributes
                if asked.activity_type.name in types:
                    scheduled[event.event_id] = asked
                done = event.activity_task_completed_event_attributes
                call = scheduled.pop(done.scheduled_event_id, None)
                if call is not None:
                    request_type, result_type = types[call.activity_type.name]
                    decode = client.data_converter.decode
                    (request,) = await decode(call.input.payloads, [request_type])
                    (result,) = await decode(done.result.payloads, [result_type])
                    yield CompletedCall(request=request, result=result)
        except RPCError as error:
            raise _unavailable(error) from error

    def _events(
        self, client: Client, workflow_id: str, run_id: str, *, page_size: int | None = None
    ) -> AsyncIterator[HistoryEvent]:
        return client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events(
            page_size=page_size, skip_archival=True, rpc_timeout=_RPC_TIMEOUT
        )


def _unavailable(error: RPCError) -> TemporalUnavailableError:
    return TemporalUnavailableError(f"the workflow service does not answer: {error.message}")
