"""Deleting a stream with all that was made of it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from fastapi import APIRouter, Response

from api.auth import Writer
from api.errors.problems import (
    InvalidRequestProblem,
    MissingScopeProblem,
    StreamNotFoundProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
)
from api.errors.reference import documented
from api.services import Services, ServicesDependency
from domain.streams.status import TERMINAL
from infra.db.repositories import streams

router = APIRouter(prefix="/v1/streams", tags=["streams"])


@router.delete(
    "/{stream_id}",
    operation_id="deleteStream",
    status_code=204,
    response_class=Response,
    responses=documented(
        UnauthenticatedProblem,
        MissingScopeProblem,
        InvalidRequestProblem,
        UnavailableProblem,
        StreamNotFoundProblem,
    ),
)
async def delete_stream(stream_id: UUID, caller: Writer, services: ServicesDependency) -> Response:
    """Delete a stream, its highlights, feedback and clips, files included. What it used stays.

    One that is running is stopped at once. Send the request again if it fails: it goes on where
    it was; when the stream is gone, the answer is 404.
    """
    tenant_id = caller.tenant_id
    async with services.database.session(tenant_id) as session:
        row = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
        if row is None:
            raise StreamNotFoundProblem
        files = await streams.clip_files(session, tenant_id=tenant_id, stream_id=stream_id)
    if row.status not in TERMINAL:
        await services.starter.cancel(row)
    # Files go while rows still name them: what is interrupted here can be done again.
    await _delete_files(services, files)
    async with services.database.session(tenant_id) as session:
        left = await streams.delete_with_contents(session, tenant_id=tenant_id, stream_id=stream_id)
    # A clip that became ready meanwhile; later ones find no row and delete themselves.
    await _delete_files(services, left or ())
    return Response(status_code=204)


async def _delete_files(services: Services, keys: Iterable[str]) -> None:
    for key in keys:
        await services.clips.delete(key)
