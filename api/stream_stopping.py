"""Stopping a stream in good order, and stopping it at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.service import RPCError, RPCStatusCode

from api.problems import UnavailableProblem
from api.services import Services
from domain.ids import stream_workflow_id
from domain.stream import TERMINAL
from infra.schema import Stream
from infra.stream_creation import close_orphan

_RPC_TIMEOUT: Final = timedelta(seconds=5)


async def stop(services: Services, row: Stream) -> Stream:
    """Ask for a stream's end in good order; return it as it is now. One that is over stays so.

    Raises:
        TemporalUnavailableError: Temporal does not answer.
    """
    if row.status in TERMINAL or await services.starter.stop(row, message="stopped by the tenant"):
        return row
    return await close_orphan(services.database, row)


async def cancel(services: Services, row: Stream) -> None:
    """Cancel a stream's workflow, its clips in the making and its stored media, if it runs.

    Raises:
        UnavailableProblem: Temporal does not answer.
    """
    client = await services.temporal.client()
    handle = client.get_workflow_handle(
        stream_workflow_id(tenant_id=row.tenant_id, stream_id=row.id)
    )
    try:
        await handle.cancel(rpc_timeout=_RPC_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise UnavailableProblem from error
