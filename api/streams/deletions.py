"""Routes of deletions with their proof, and of legal holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Administrator, AuditActor, Reader, Writer
from api.errors.problems import (
    DeletionInProgressProblem,
    DeletionNotFoundProblem,
    HighlightNotFoundProblem,
    InvalidCursorProblem,
    LegalHoldProblem,
    Problem,
    StreamNotFoundProblem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.middleware.json_content import require_json
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.request_model import RequestModel
from api.services import ServicesDependency
from app.services.deletions import hold_highlight, hold_stream
from domain.streams.deletion import (
    DeletionInProgressError,
    DeletionProof,
    DeletionStatus,
    LegalHold,
    LegalHoldError,
)
from domain.tenants.audit import Actor
from domain.text import Name
from infra.db.errors import RecordMissingError
from infra.db.repositories import streams
from infra.db.tables import Deletion

router = APIRouter(prefix="/v1", tags=["deletions"])
_NEWEST: Final = "-created_at"
_LONGEST_REASON: Final = 500
_Reason = Annotated[str, StringConstraints(max_length=_LONGEST_REASON)]
_REQUEST: dict[str, Any] = {
    "stream_id": "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11",
    "reason": "Request 4711 of a player",
}


class DeletionRequest(RequestModel):
    """A stream to delete."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REQUEST]})

    stream_id: UUID
    reason: _Reason = Field(
        default="",
        description="Kept with the proof: name the request, not the person.",
    )


class DeletionModel(BaseModel):
    """The deletion of a stream, which it outlives."""

    id: UUID
    stream_id: UUID
    external_id: str | None = Field(description="Your own id of the stream.")
    reason: str
    status: DeletionStatus = Field(description="`done` when nothing of the stream was left.")
    rows: dict[str, int] = Field(description="Deleted rows by table.")
    rows_deleted_at: datetime | None
    files: int = Field(description="Deleted files of clips, thumbnails and exports.")
    media: int = Field(description="Deleted objects of stored media.")
    verified_at: datetime | None = Field(
        description="When both stores were read again and held nothing of the stream."
    )
    cdn_expires_at: datetime | None = Field(
        description="When the last copy in a CDN expires; null without a CDN, and if the copies "
        "were removed by an invalidation."
    )
    cdn_invalidation_id: str | None = Field(
        description="The completed invalidation of CloudFront that removed the copies in the CDN."
    )
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Deletion) -> Self:
        """Return a deletion."""
        proof: DeletionProof = streams.proof_of(row)
        return cls(
            id=row.id,
            stream_id=row.stream_id,
            external_id=row.external_id,
            reason=row.reason,
            status=DeletionStatus(row.status),
            **proof.model_dump(),
            created_at=row.created_at,
            finished_at=row.finished_at,
        )


class LegalHoldRequest(RequestModel):
    """Why a stream or highlight may not be deleted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Case 12/345"}]})

    reason: Name


@router.post(
    "/deletions",
    operation_id="createDeletion",
    status_code=202,
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, StreamNotFoundProblem, LegalHoldProblem),
)
async def create_deletion(
    body: DeletionRequest,
    caller: Writer,
    actor: AuditActor,
    services: ServicesDependency,
    response: Response,
) -> DeletionModel:
    """Delete a stream with everything that was made of it, and keep proof.

    The response is immediate. A workflow cancels the stream, deletes its media, files and rows, and
    repeats that until nothing is left. Asking again for the same stream returns its deletion. Usage
    records are kept.
    """
    try:
        row = await services.deletions.request(
            tenant_id=caller.tenant_id, stream_id=body.stream_id, reason=body.reason, actor=actor
        )
    except RecordMissingError:
        raise StreamNotFoundProblem from None
    except LegalHoldError as error:
        raise LegalHoldProblem(str(error)) from None
    response.headers["Location"] = f"/v1/deletions/{row.id}"
    return DeletionModel.of(row)


@router.get(
    "/deletions",
    operation_id="listDeletions",
    responses=documented(*WITH_KEY, InvalidCursorProblem),
)
async def list_deletions(
    *, caller: Reader, services: ServicesDependency, limit: Limit = 50, cursor: Cursor = None
) -> Page[DeletionModel]:
    """List deletions of streams, newest first."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await streams.list_deletions(
            session, tenant_id=caller.tenant_id, after=after, limit=limit + 1
        )
    return Page(
        data=[DeletionModel.of(row) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


@router.get(
    "/deletions/{deletion_id}",
    operation_id="getDeletion",
    responses=documented(*WITH_KEY, DeletionNotFoundProblem),
)
async def get_deletion(
    deletion_id: UUID, caller: Reader, services: ServicesDependency
) -> DeletionModel:
    """Read what was deleted of a stream, and when."""
    async with services.database.session(caller.tenant_id) as session:
        row = await streams.get_deletion(
            session, tenant_id=caller.tenant_id, deletion_id=deletion_id
        )
    if row is None:
        raise DeletionNotFoundProblem
    return DeletionModel.of(row)


@router.put(
    "/streams/{stream_id}/legal-hold",
    operation_id="putStreamLegalHold",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, StreamNotFoundProblem, DeletionInProgressProblem),
)
async def put_stream_legal_hold(
    stream_id: UUID,
    body: LegalHoldRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
) -> LegalHold:
    """Hold a stream: it cannot be deleted, and its media is kept, until the hold is lifted."""
    return _placed(await _hold_stream(services, actor, caller.tenant_id, stream_id, body.reason))


@router.delete(
    "/streams/{stream_id}/legal-hold",
    operation_id="deleteStreamLegalHold",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, StreamNotFoundProblem, DeletionInProgressProblem),
)
async def delete_stream_legal_hold(
    stream_id: UUID, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> Response:
    """Lift the hold of a stream, if there is one; those of its highlights stay."""
    await _hold_stream(services, actor, caller.tenant_id, stream_id, None)
    return Response(status_code=204)


@router.put(
    "/highlights/{highlight_id}/legal-hold",
    operation_id="putHighlightLegalHold",
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY, *WITH_BODY, HighlightNotFoundProblem, DeletionInProgressProblem
    ),
)
async def put_highlight_legal_hold(
    highlight_id: UUID,
    body: LegalHoldRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
) -> LegalHold:
    """Hold a highlight: its stream cannot be deleted, and its media is kept, until it is lifted."""
    return _placed(
        await _hold_highlight(services, actor, caller.tenant_id, highlight_id, body.reason)
    )


@router.delete(
    "/highlights/{highlight_id}/legal-hold",
    operation_id="deleteHighlightLegalHold",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, HighlightNotFoundProblem, DeletionInProgressProblem),
)
async def delete_highlight_legal_hold(
    highlight_id: UUID, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> Response:
    """Lift the hold of a highlight, if there is one; that of its stream stays."""
    await _hold_highlight(services, actor, caller.tenant_id, highlight_id, None)
    return Response(status_code=204)


async def _hold(
    services: ServicesDependency,
    tenant_id: UUID,
    change: Callable[[AsyncSession], Awaitable[LegalHold | None]],
    *,
    missing: type[Problem],
) -> LegalHold | None:
    """Place or lift a hold; `missing` is the problem of what the tenant does not have."""
    try:
        async with services.database.session(tenant_id) as session:
            return await change(session)
    except RecordMissingError:
        raise missing from None
    except DeletionInProgressError:
        raise DeletionInProgressProblem from None


async def _hold_stream(
    services: ServicesDependency,
    actor: Actor,
    tenant_id: UUID,
    stream_id: UUID,
    reason: str | None,
) -> LegalHold | None:
    change = partial(
        hold_stream, tenant_id=tenant_id, stream_id=stream_id, reason=reason, actor=actor
    )
    return await _hold(services, tenant_id, change, missing=StreamNotFoundProblem)


async def _hold_highlight(
    services: ServicesDependency,
    actor: Actor,
    tenant_id: UUID,
    highlight_id: UUID,
    reason: str | None,
) -> LegalHold | None:
    change = partial(
        hold_highlight, tenant_id=tenant_id, highlight_id=highlight_id, reason=reason, actor=actor
    )
    return await _hold(services, tenant_id, change, missing=HighlightNotFoundProblem)


def _placed(hold: LegalHold | None) -> LegalHold:
    assert hold is not None  # noqa: S101 - a reason was given
    return hold
