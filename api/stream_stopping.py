"""Stopping a stream in good order, whether or not a workflow follows it."""

from __future__ import annotations

from api.services import Services
from domain.stream import TERMINAL
from infra.schema import Stream
from infra.stream_creation import close_orphan


async def stop(services: Services, row: Stream) -> Stream:
    """Ask for a stream's end in good order; return it as it is now. One that is over stays so.

    Raises:
        TemporalUnavailableError: Temporal does not answer.
    """
    if row.status in TERMINAL or await services.starter.stop(row, message="stopped by the tenant"):
        return row
    return await close_orphan(services.database, row)
