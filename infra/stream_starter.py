"""Starting a stream's workflow from its row alone, so that a start that failed can be repeated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import structlog
from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.problems import UnavailableProblem
from api.services import Services
from domain import task_queues
from domain.ids import stream_workflow_id
from domain.media import VariantPolicy
from domain.stream import StreamProgress
from domain.stream_input import StopRequest, StreamInput
from infra.schema import Stream
from workflows.search_attributes import GAME, STREAM_ID, STREAM_STATUS, TENANT_ID

WORKFLOW: Final = "StreamWorkflow"
_RPC_TIMEOUT: Final = timedelta(seconds=5)
_QUERY_TIMEOUT: Final = timedelta(seconds=1)
# A worker killed between two fetches is noticed by this alone, and a playlist holds ten seconds.
_TASK_TIMEOUT: Final = timedelta(seconds=5)
_log = structlog.get_logger(__name__)


async def start(services: Services, stream: Stream) -> None:
    """Start the workflow of a stream; one that has been started is left alone.

    Raises:
        UnavailableProblem: Temporal does not answer.
    """
    client = await services.temporal.client()
    try:
        await client.start_workflow(
            WORKFLOW,
            _workflow_input(services, stream),
            id=stream_workflow_id(tenant_id=stream.tenant_id, stream_id=stream.id),
            task_queue=task_queues.ORCHESTRATION,
            task_timeout=_TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            memo={"correlation_id": stream.correlation_id or ""},
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(TENANT_ID, str(stream.tenant_id)),
                    SearchAttributePair(STREAM_ID, str(stream.id)),
                    SearchAttributePair(GAME, stream.game),
                    SearchAttributePair(STREAM_STATUS, stream.status),
                ]
            ),
            priority=Priority(fairness_key=str(stream.tenant_id)),
            static_summary=f"Highlights of a live {stream.game} stream",
            rpc_timeout=_RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        _log.info("stream workflow had been started", stream_id=str(stream.id))
    except RPCError as error:
        raise _unavailable(error) from error


async def stop(services: Services, stream: Stream, *, message: str) -> bool:
    """Ask a stream's workflow to end in good order; answer whether there is one running.

    Raises:
        UnavailableProblem: Temporal does not answer.
    """
    client = await services.temporal.client()
    handle = client.get_workflow_handle(
        stream_workflow_id(tenant_id=stream.tenant_id, stream_id=stream.id)
    )
    try:
        await handle.signal("stop", StopRequest(message=message), rpc_timeout=_RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise _unavailable(error) from error
    return True


async def live_progress(services: Services, stream: Stream) -> StreamProgress | None:
    """Return what the running workflow knows, or None when it cannot say within a second."""
    try:
        client = await services.temporal.client()
        handle = client.get_workflow_handle(
            stream_workflow_id(tenant_id=stream.tenant_id, stream_id=stream.id)
        )
        progress: StreamProgress = await handle.query(
            "status", result_type=StreamProgress, rpc_timeout=_QUERY_TIMEOUT
        )
    except (
        UnavailableProblem,
        RPCError,
        WorkflowQueryFailedError,
        WorkflowQueryRejectedError,
    ) as error:
        _log.info("no live progress", stream_id=str(stream.id), error=str(error))
        return None
    return progress


def _workflow_input(services: Services, stream: Stream) -> StreamInput:
    options: dict[str, Any] = dict(stream.options)
    variant = VariantPolicy.model_validate(
        {"max_height": options.pop("max_height")} if "max_height" in options else {}
    )
    return StreamInput(
        tenant_id=stream.tenant_id,
        stream_id=stream.id,
        playlist_url=stream.playlist_url,
        game=stream.game,
        profile_id=stream.profile_id,
        profile_version=stream.profile_version,
        limits=services.settings.ingest_limits().model_copy(update=options),
        variant=variant,
        correlation_id=stream.correlation_id,
    )


def _unavailable(error: RPCError) -> UnavailableProblem:
    _log.warning("temporal unavailable", status=str(error.status), error=error.message)
    return UnavailableProblem("The workflow service does not answer. " + UnavailableProblem.advice)
