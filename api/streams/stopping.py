"""Stopping a stream in good order, whether or not a workflow follows it."""

from __future__ import annotations

from api.services import Services
from api.streams.schemas import StreamModel
from app.services.streams import close_orphan
from domain.streams.status import TERMINAL, StreamStatus
from infra.db.tables import Stream


async def stop(services: Services, row: Stream) -> StreamModel:
    """Ask for a stream's end in good order. One that is over stays so.

    Returns:
        The stream, which is `ending` as soon as its workflow has accepted the request, even if
        that is not recorded yet.

    Raises:
        TemporalUnavailableError: Temporal does not answer.
    """
    if row.status in TERMINAL:
        return StreamModel.of(row)
    if await services.starter.stop(row, message="stopped by the tenant"):
        return StreamModel.of(row).model_copy(update={"status": StreamStatus.ENDING})
    return StreamModel.of(await close_orphan(services.database, row))
