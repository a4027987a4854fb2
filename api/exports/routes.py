"""Routes of exports, and their files behind signed URLs."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import AuditActor, Reader, Writer
from api.errors.problems import (
    ClipNotFoundProblem,
    ExportNotFoundProblem,
    ExportQuotaExceededProblem,
    HighlightNotFoundProblem,
    InvalidCursorProblem,
    NothingToExportProblem,
    Problem,
    SourceNotReadyProblem,
    StreamNotFoundProblem,
)
from api.errors.reference import IDEMPOTENT, WITH_BODY, WITH_KEY, documented
from api.exports.schemas import ExportModel, ExportRequest
from api.files import Expires, Signature, Tenant, check_signature, file_responses, serve_file
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.middleware.routing import WITHOUT_KEY
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.publication import PUBLICATION_PROBLEMS, ViewerPlace, source_readable_until
from api.services import Services, ServicesDependency
from app.services.exports import EmptyReelError, NewExport, SourceNotReadyError
from domain.exports.models import MOST_RENDITIONS, ExportStatus, RenderedRendition, RenditionFormat
from infra.db.errors import RecordMissingError
from infra.db.repositories import exports
from infra.db.repositories.idempotency import StoredResponse
from infra.db.tables import Export
from infra.storage.signed_urls import export_path

router = APIRouter(prefix="/v1/exports", tags=["exports"])
_NEWEST: Final = "-created_at"
_MISSING: Final[dict[str, type[Problem]]] = {
    "highlight": HighlightNotFoundProblem,
    "clip": ClipNotFoundProblem,
    "stream": StreamNotFoundProblem,
}
_MEDIA_TYPES: Final = (
    *("video/mp4", "video/webm", "audio/mp4"),
    *("image/webp", "image/gif", "image/jpeg", "text/vtt"),
)
_INDEX_TYPES: Final = {
    RenditionFormat.HLS: "application/vnd.apple.mpegurl",
    RenditionFormat.STORYBOARD: "text/vtt",
}
Number = Annotated[
    int, Path(ge=1, le=MOST_RENDITIONS, description="A rendition's place in the request, from 1.")
]


@router.post(
    "",
    operation_id="createExport",
    status_code=201,
    response_model=ExportModel,
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        *WITH_BODY,
        *IDEMPOTENT,
        HighlightNotFoundProblem,
        ClipNotFoundProblem,
        StreamNotFoundProblem,
        SourceNotReadyProblem,
        NothingToExportProblem,
        ExportQuotaExceededProblem,
    ),
)
async def create_export(
    body: ExportRequest,
    caller: Writer,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Make files of a clip, or of a span of a stream, in other formats, shapes and sizes.

    The response is immediate, with the export in status `queued`; the event `export.ready` or
    `export.failed` reports its end. All renditions of one export are made from one decoded source,
    which is much faster than an export for each. Send an `Idempotency-Key`, so that a retry does
    not start a second export.
    """

    async def create(session: AsyncSession, export_id: UUID) -> Created:
        source = body.source
        new = NewExport(
            tenant_id=caller.tenant_id,
            export_id=export_id,
            renditions=tuple(body.renditions),
            watermark=body.watermark,
            lower_third=body.lower_third,
            caption_style=body.caption_style,
            intro=body.intro,
            outro=body.outro,
            end_card=body.end_card,
            territory=body.territory,
            branding=body.branding,
            highlight_id=source.highlight_id,
            clip_id=source.clip_id,
            stream_id=source.stream_id,
            start=source.start or 0.0,
            end=source.end or 0.0,
            exact=source.exact,
            reel=None if source.reel is None else source.reel.wanted,
        )
        try:
            row = await services.exports.find_or_create(session, new)
        except EmptyReelError as error:
            raise NothingToExportProblem(str(error)) from None
        except RecordMissingError as error:
            raise _MISSING[error.kind] from None
        except SourceNotReadyError as error:
            raise SourceNotReadyProblem(str(error)) from None
        return Created(
            response=StoredResponse(
                status=201,
                headers={"Location": f"/v1/exports/{row.id}"},
                body=ExportModel.of(row, services).model_dump(mode="json"),
            ),
            # After the commit: the first thing the workflow does is to write to this row.
            start=partial(services.exports.start_or_withdraw, row),
        )

    once = IdempotentRequest(
        tenant_id=caller.tenant_id, key=idempotency_key, operation="createExport", body=body
    )
    return await once.respond(services.database, create)


@router.get(
    "",
    operation_id="listExports",
    responses=documented(*WITH_KEY, InvalidCursorProblem),
)
async def list_exports(
    *,
    caller: Reader,
    services: ServicesDependency,
    status: ExportStatus | None = None,
    stream_id: UUID | None = None,
    batch_id: Annotated[UUID | None, Query(description="Those of an export batch.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ExportModel]:
    """List exports, newest first."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await exports.list_page(
            session,
            tenant_id=caller.tenant_id,
            status=status,
            stream_id=stream_id,
            batch_id=batch_id,
            after=after,
            limit=limit + 1,
        )
    return Page(
        data=[ExportModel.of(row, services) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


@router.get(
    "/{export_id}",
    operation_id="getExport",
    responses=documented(*WITH_KEY, ExportNotFoundProblem),
)
async def get_export(export_id: UUID, caller: Reader, services: ServicesDependency) -> ExportModel:
    """Read an export with the links of its renditions."""
    return ExportModel.of(await _found(services, caller.tenant_id, export_id), services)


@router.post(
    "/{export_id}/cancel",
    operation_id="cancelExport",
    responses=documented(*WITH_KEY, ExportNotFoundProblem),
)
async def cancel_export(
    export_id: UUID, caller: Writer, services: ServicesDependency
) -> ExportModel:
    """Cancel an export; its files are deleted. Does nothing if the export has finished."""
    try:
        row = await services.exports.cancel(caller.tenant_id, export_id)
    except RecordMissingError:
        raise ExportNotFoundProblem from None
    return ExportModel.of(row, services)


@router.delete(
    "/{export_id}",
    operation_id="deleteExport",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, ExportNotFoundProblem),
)
async def delete_export(
    export_id: UUID, caller: Writer, actor: AuditActor, services: ServicesDependency
) -> Response:
    """Delete an export and its files; one that is unfinished is canceled. Usage records are kept.

    If the request fails, retry it; once the export is gone the response is 404.
    """
    try:
        await services.exports.delete(caller.tenant_id, export_id, actor=actor)
    except RecordMissingError:
        raise ExportNotFoundProblem from None
    return Response(status_code=204)


@router.head("/{export_id}/renditions/{number}/download", include_in_schema=False)
@router.get(
    "/{export_id}/renditions/{number}/download",
    operation_id="downloadRendition",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=file_responses(_MEDIA_TYPES, ExportNotFoundProblem, *PUBLICATION_PROBLEMS),
)
async def download_rendition(
    *,
    export_id: UUID,
    number: Number,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    request: Request,
    place: ViewerPlace,
) -> Response:
    """Download a rendition by its signed URL. No API key is needed; ranges are supported.

    Follow redirects: an installation that stores clips in S3 answers with one.
    """
    path = export_path(export_id, number, "download")
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    _, result, valid_until = await _ready(services, tenant, export_id, number, place)
    return await serve_file(
        services,
        result.key,
        request,
        name=f"{export_id}-{number}",
        etag=result.sha256,
        expires=min(expires, valid_until),
        missing=ExportNotFoundProblem,
    )


@router.get(
    "/{export_id}/renditions/{number}/index",
    operation_id="downloadRenditionIndex",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=file_responses(
        tuple(_INDEX_TYPES.values()), ExportNotFoundProblem, *PUBLICATION_PROBLEMS
    ),
)
async def download_rendition_index(
    *,
    export_id: UUID,
    number: Number,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    place: ViewerPlace,
) -> Response:
    """Read an HLS playlist, or the WebVTT of a storyboard, by its signed URL.

    The links in it expire with it.
    """
    path = export_path(export_id, number, "index")
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    row, result, valid_until = await _ready(services, tenant, export_id, number, place)
    if result.index is None:
        raise ExportNotFoundProblem("This rendition has no index: read its file.")
    file = export_path(export_id, number, "download")
    signed = services.signer.sign(file, tenant_id=tenant, expires=min(expires, valid_until))
    # Relative to this path, wherever the API is mounted.
    text = result.index.replace("{file}", signed.rpartition("/")[2])
    form = exports.spec_of(row).renditions[number - 1].format
    return Response(
        text,
        media_type=_INDEX_TYPES[form],
        headers={"Cross-Origin-Resource-Policy": "cross-origin"},
    )


async def _found(services: Services, tenant_id: UUID, export_id: UUID) -> Export:
    async with services.database.session(tenant_id) as session:
        row = await exports.get(session, tenant_id=tenant_id, export_id=export_id)
    if row is None:
        raise ExportNotFoundProblem
    return row


async def _ready(
    services: Services, tenant_id: UUID, export_id: UUID, number: int, place: str | None
) -> tuple[Export, RenderedRendition, int]:
    """Return an export, a rendition, and the Unix time (s) until which it may be read."""
    row = await _found(services, tenant_id, export_id)
    result = exports.results_of(row).get(number)
    if result is None or result.key is None:
        raise ExportNotFoundProblem
    source = exports.spec_of(row).source
    async with services.database.session(tenant_id) as session:
        valid_until = await source_readable_until(
            session, tenant_id=tenant_id, source=source, place=place
        )
    return row, result, valid_until
