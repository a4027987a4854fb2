"""Routes of clips, and their files behind signed URLs."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.auth import AuditActor, Reader, Writer
from api.clips.schemas import ClipDetail
from api.errors.problems import (
    ClipNotFoundProblem,
    HighlightClipProblem,
    InvalidRequestProblem,
    LegalHoldProblem,
    MissingScopeProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
)
from api.errors.reference import WITH_KEY, documented
from api.files import Expires, Signature, Tenant, check_signature, file_responses, serve_file
from api.middleware.routing import WITHOUT_KEY
from api.publication import PUBLICATION_PROBLEMS, ViewerPlace, readable_until
from api.services import Services, ServicesDependency
from app.services.clips import HighlightClipError
from app.services.highlights import withheld_highlights
from domain.clips.models import ClipStatus
from domain.streams.deletion import LegalHoldError
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, highlights
from infra.db.tables import Clip
from infra.storage.signed_urls import clip_path

router = APIRouter(prefix="/v1/clips", tags=["clips"])


@router.get(
    "/{clip_id}",
    operation_id="getClip",
    responses=documented(
        UnauthenticatedProblem,
        MissingScopeProblem,
        InvalidRequestProblem,
        ClipNotFoundProblem,
        UnavailableProblem,
    ),
)
async def get_clip(clip_id: UUID, caller: Reader, services: ServicesDependency) -> ClipDetail:
    """Read a clip with its links."""
    async with services.database.session(caller.tenant_id) as session:
        row = await clips.get(session, tenant_id=caller.tenant_id, clip_id=clip_id)
        if row is None:
            raise ClipNotFoundProblem
        withheld = await withheld_highlights(session, [row])
    return ClipDetail.of(row, services, is_withheld=row.highlight_id in withheld)


@router.delete(
    "/{clip_id}",
    operation_id="deleteClip",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, ClipNotFoundProblem, HighlightClipProblem, LegalHoldProblem),
)
async def delete_clip(
    clip_id: UUID, caller: Writer, actor: AuditActor, services: ServicesDependency
) -> Response:
    """Delete a clip on demand with its files. Its row stays, with the status `deleted`."""
    try:
        async with services.database.session(caller.tenant_id) as session:
            await services.clip_requests.delete(
                session, tenant_id=caller.tenant_id, clip_id=clip_id, actor=actor
            )
    except RecordMissingError:
        raise ClipNotFoundProblem from None
    except HighlightClipError:
        raise HighlightClipProblem from None
    except LegalHoldError as error:
        raise LegalHoldProblem(str(error)) from None
    return Response(status_code=204)


@router.head("/{clip_id}/download", include_in_schema=False)
@router.get(
    "/{clip_id}/download",
    operation_id="downloadClip",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=file_responses("video/mp4", ClipNotFoundProblem, *PUBLICATION_PROBLEMS),
)
async def download_clip(
    *,
    clip_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    place: ViewerPlace,
    request: Request,
) -> Response:
    """Download a clip by its signed URL. No API key is needed; ranges are supported.

    Follow redirects: an installation that stores clips in S3 answers with one.
    """
    path = clip_path(clip_id, "download")
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    row, valid_until = await _ready_clip(services, tenant, clip_id, place)
    return await serve_file(
        services,
        row.key,
        request,
        name=f"{row.id}",
        etag=row.sha256,
        expires=min(expires, valid_until),
        missing=ClipNotFoundProblem,
    )


@router.head("/{clip_id}/thumbnail", include_in_schema=False)
@router.get(
    "/{clip_id}/thumbnail",
    operation_id="downloadThumbnail",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=file_responses("image/jpeg", ClipNotFoundProblem, *PUBLICATION_PROBLEMS),
)
async def download_thumbnail(
    *,
    clip_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    place: ViewerPlace,
    request: Request,
) -> Response:
    """Download a clip's thumbnail by its signed URL. No API key is needed."""
    path = clip_path(clip_id, "thumbnail")
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    row, valid_until = await _ready_clip(services, tenant, clip_id, place)
    return await serve_file(
        services,
        row.thumbnail_key,
        request,
        name=f"{row.id}",
        etag=None,
        expires=min(expires, valid_until),
        missing=ClipNotFoundProblem,
    )


async def _ready_clip(
    services: Services, tenant_id: UUID, clip_id: UUID, place: str | None
) -> tuple[Clip, int]:
    """Return a clip with a file, and the Unix time (s) until which it may be read."""
    about = None
    async with services.database.session(tenant_id) as session:
        row = await clips.get(session, tenant_id=tenant_id, clip_id=clip_id)
        if row is not None and row.highlight_id is not None:
            about = await highlights.get(
                session, tenant_id=tenant_id, highlight_id=row.highlight_id
            )
    if row is None or row.status != ClipStatus.READY:
        raise ClipNotFoundProblem
    return row, readable_until(about, place)
