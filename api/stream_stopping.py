"""Stopping a stream in good order, and stopping it at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.service import RPCError, RPCStatusCode

from api import stream_starter
from api.problems import UnavailableProblem
from api.services import Services
from domain.ids import stream_workflow_id
from domain.records import StreamRecord
from domain.stream import TERMINAL, EndReason, StreamEnd, StreamProgress
from infra.repositories import streams
from infra.schema import Stream

_RPC_TIMEOUT: Final = timedelta(seconds=5)


async def stop(services: Services, row: Stream) -> Stream:
    """Ask for a stream's end in good order; return it as it is now. One that is over stays so.

    Raises:
        UnavailableProblem: Temporal does not answer.
    """
    if row.status in TERMINAL or await stream_starter.stop(
        services, row, message="stopped by the tenant"
    ):
        return row
    return await _cancel_orphan(services, row)


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


async def _cancel_orphan(services: Services, row: Stream) -> Stream:
    """Close a stream that no workflow follows, so that it does not stay open for ever."""
    end = StreamEnd(reason=EndReason.CANCELLED, message="stopped; its analysis was not running")
    progress = StreamProgress(status=end.status, end=end)
    async with services.database.session(row.tenant_id) as session:
        await streams.record_stream(
            session, StreamRecord(tenant_id=row.tenant_id, stream_id=row.id, progress=progress)
        )
    async with services.database.session(row.tenant_id) as session:
        return await streams.get(session, tenant_id=row.tenant_id, stream_id=row.id) or row
