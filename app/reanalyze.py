"""`highlights reanalyze`: a stream that is over is analysed once more, from its recording."""

from __future__ import annotations

from uuid import UUID

from domain.ids import backfill_workflow_id
from domain.stream import TERMINAL
from domain.stream_input import RecordingReady
from infra.database import Database
from infra.errors import AlreadyRunningError, NotConfiguredError, SetupError
from infra.repositories import beams, streams
from infra.stream_starter import StreamStarter
from infra.temporal_connection import TemporalUnavailableError


async def reanalyze(
    database: Database,
    starter: StreamStarter,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    recording: str | None,
) -> str | None:
    """Start it; return the id of its workflow, or None when the tenant has no such stream.

    Args:
        database: where the stream is recorded.
        starter: starts the workflow.
        tenant_id: whose stream it is.
        stream_id: which.
        recording: address of the recording's playlist; None takes the one that the source told.

    Raises:
        SetupError: it cannot be done now, or not without an address; says what to do.
    """
    async with database.session(tenant_id) as session:
        stream = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
        told = await beams.recording_of(session, tenant_id=tenant_id, stream_id=stream_id)
    if stream is None:
        return None
    if stream.status not in TERMINAL:
        raise NotConfiguredError(
            f"The stream is {stream.status}: only one that is over can be analysed again.",
            remedy="Wait for its end, or stop it.",
        )
    url = recording or (told.url if told is not None else None)
    if url is None:
        raise NotConfiguredError(
            "Where the stream's recording is was never told.",
            remedy="Name the address of its VOD playlist by --recording.",
        )
    try:
        started = await starter.backfill(stream, RecordingReady(url=url), again=True)
    except TemporalUnavailableError as error:
        raise SetupError(str(error), remedy="See `highlights doctor`.") from error
    if not started:
        raise AlreadyRunningError(
            "The stream is being filled from its recording.", remedy="Try again when that is over."
        )
    return backfill_workflow_id(tenant_id=tenant_id, stream_id=stream_id)
