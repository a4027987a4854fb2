"""Routes of export batches: many exports at once, their manifest, and their files as one ZIP."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import AuditActor, Reader, Writer
from api.errors.problems import (
    ExportBatchNotFoundProblem,
    ExportQuotaExceededProblem,
    HighlightNotFoundProblem,
    InvalidCursorProblem,
    NothingToExportProblem,
    SourceNotReadyProblem,
)
from api.errors.reference import IDEMPOTENT, WITH_BODY, WITH_KEY, documented
from api.exports.schemas import BrandedRequest, RenditionRequest
from api.files import (
    FILE_PROBLEMS,
    Expires,
    Signature,
    Tenant,
    check_signature,
    remaining,
)
from api.highlights.schemas import (
    MARKET,
    PERIOD,
    STATE,
    SUBJECT,
    MatchPeriod,
    ScoreAfter,
)
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.middleware.routing import WITHOUT_KEY
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.publication import ViewerPlace, is_readable
from api.request_model import RequestModel
from api.services import Services, ServicesDependency
from app.services.export_batches import NewExportBatch, NothingToExportError
from app.services.exports import SourceNotReadyError
from domain.exports.batches import BatchCounts
from domain.exports.models import MOST_RENDITIONS, ExportStatus, RenditionFormat
from domain.feed.models import MarketName, Subject
from domain.highlights.candidate import LocalizedTitle
from domain.highlights.explanation import headline
from domain.highlights.selection import DecisionStatus
from domain.text import Name, one_line
from infra.db.errors import RecordMissingError
from infra.db.repositories import exports, highlights
from infra.db.repositories.highlights import HighlightFilter
from infra.db.repositories.idempotency import StoredResponse
from infra.db.tables import ExportBatch
from infra.storage.signed_urls import batch_zip_path, export_path
from infra.storage.zip_file import zipped

router = APIRouter(prefix="/v1/export-batches", tags=["exports"])
_NEWEST: Final = "-created_at"
_MOST: Final = 1000
_PICTURES: Final = {"watermark", "intro", "outro", "end_card"}
"""Of a request; the exports of the batch hold them."""

_MOST_TAGS: Final = 20
_LONGEST_NAME: Final = 80
_UNSAFE: Final = frozenset('/\\:*?"<>|')
_Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e9)]
_EXAMPLE: dict[str, Any] = {
    "filter": {
        "stream_id": "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11",
        "tags": ["goal"],
        "min_score": 0.5,
        "limit": 10,
    },
    "renditions": [{"format": "mp4", "preset": "tiktok"}, {"format": "thumbnail"}],
}


class BatchFilter(RequestModel):
    """Which confirmed highlights to export; those whose clip is not ready are left out."""

    model_config = ConfigDict(populate_by_name=True)

    stream_id: UUID | None = None
    tags: Annotated[list[Name], Field(max_length=_MOST_TAGS)] = Field(
        default=[], description="Highlights with one of these tags, which include kinds of moments."
    )
    market: MarketName | None = Field(default=None, description=MARKET)
    subject: Subject | None = Field(default=None, description=SUBJECT)
    state: ScoreAfter | None = Field(default=None, description=STATE)
    period: MatchPeriod | None = Field(default=None, description=PERIOD)
    min_score: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    start: _Seconds | None = Field(
        default=None, alias="from", description="Peaks from this second of media time on."
    )
    end: _Seconds | None = Field(
        default=None, alias="to", description="Peaks up to this second of media time."
    )
    limit: Annotated[int, Field(ge=1, le=_MOST)] | None = Field(
        default=None, description="At most so many, the best ones."
    )

    @property
    def criteria(self) -> HighlightFilter:
        """The filter of the database."""
        return HighlightFilter(
            stream_id=self.stream_id,
            statuses=(DecisionStatus.CONFIRMED,),
            any_tag=tuple(self.tags),
            market=self.market,
            subject=self.subject,
            state=self.state,
            period=self.period,
            min_score=self.min_score,
            peak_from=self.start,
            peak_to=self.end,
        )


class BatchRequest(BrandedRequest):
    """A batch to make: one export per highlight, all with the same renditions."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    filter: BatchFilter | None = None
    highlight_ids: Annotated[list[UUID], Field(min_length=1, max_length=_MOST)] | None = None
    renditions: Annotated[list[RenditionRequest], Field(min_length=1, max_length=MOST_RENDITIONS)]

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.filter is None) == (self.highlight_ids is None):
            raise ValueError("name either filter or highlight_ids")
        return self


class ExportBatchModel(BaseModel):
    """A batch of exports, and how many of them have which status."""

    id: UUID
    status: ExportStatus = Field(
        description="`ready` when all exports are; `failed` when all have finished and one or more "
        "are not ready; `cancelled` until it is resumed."
    )
    exports: int = Field(description="How many exports it has.")
    queued: int
    running: int
    ready: int
    failed: int
    cancelled: int
    zip_url: str = Field(
        description="Signed URL of a ZIP file with all files that are ready; needs no API key."
    )
    message: str = Field(description="What is not ready, and why.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: ExportBatch, counts: BatchCounts, services: Services) -> Self:
        """Return a batch."""
        return cls(
            id=row.id,
            status=ExportStatus(row.status),
            exports=row.exports,
            **counts.model_dump(),
            zip_url=services.links.sign(batch_zip_path(row.id), tenant_id=row.tenant_id),
            message=row.message,
            created_at=row.created_at,
            updated_at=row.updated_at,
            finished_at=row.finished_at,
        )


class BatchFileModel(BaseModel):
    """A file of a batch that is ready; size in bytes, seconds of media time."""

    name: str = Field(description="Its name in the ZIP file.")
    export_id: UUID
    number: int = Field(description="The rendition's place in the request, from 1.")
    format: RenditionFormat
    highlight_id: UUID | None
    stream_id: UUID
    title: str
    titles: list[LocalizedTitle] = Field(
        default=[], description="The highlight's title and tags in the stream's languages."
    )
    start: float
    end: float
    size: int | None
    sha256: str | None
    url: str = Field(description="Signed URL of the file; needs no API key.")


class BatchManifestModel(BaseModel):
    """The files of a batch that are ready, in order."""

    id: UUID
    status: ExportStatus
    files: list[BatchFileModel]


@router.post(
    "",
    operation_id="createExportBatch",
    status_code=201,
    response_model=ExportBatchModel,
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        *WITH_BODY,
        *IDEMPOTENT,
        HighlightNotFoundProblem,
        NothingToExportProblem,
        SourceNotReadyProblem,
        ExportQuotaExceededProblem,
    ),
)
async def create_export_batch(
    body: BatchRequest,
    caller: Writer,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Export the clips of many highlights: those that a filter selects, or those that are named.

    What belongs to the batch is decided now: highlights that are found later do not join it. A few
    exports are made at a time. The event `export_batch.finished` reports the end; every export also
    has its own events. A batch counts as one of the exports that your plan allows at a time.
    """

    async def create(session: AsyncSession, batch_id: UUID) -> Created:
        wanted = body.filter
        new = NewExportBatch(
            tenant_id=caller.tenant_id,
            batch_id=batch_id,
            renditions=tuple(body.renditions),
            request=body.model_dump(mode="json", exclude=_PICTURES, by_alias=True),
            watermark=body.watermark,
            lower_third=body.lower_third,
            caption_style=body.caption_style,
            intro=body.intro,
            outro=body.outro,
            end_card=body.end_card,
            territory=body.territory,
            branding=body.branding,
            highlight_ids=tuple(body.highlight_ids or ()),
            criteria=None if wanted is None else wanted.criteria,
            limit=None if wanted is None else wanted.limit,
        )
        try:
            row = await services.export_batches.find_or_create(session, new)
        except RecordMissingError:
            raise HighlightNotFoundProblem from None
        except SourceNotReadyError as error:
            raise SourceNotReadyProblem(str(error)) from None
        except NothingToExportError:
            raise NothingToExportProblem from None
        counts = BatchCounts(queued=row.exports)
        return Created(
            response=StoredResponse(
                status=201,
                headers={"Location": f"/v1/export-batches/{row.id}"},
                body=ExportBatchModel.of(row, counts, services).model_dump(mode="json"),
            ),
            start=partial(services.export_batches.start_or_withdraw, row),
        )

    once = IdempotentRequest(
        tenant_id=caller.tenant_id, key=idempotency_key, operation="createExportBatch", body=body
    )
    return await once.respond(services.database, create)


@router.get(
    "",
    operation_id="listExportBatches",
    responses=documented(*WITH_KEY, InvalidCursorProblem),
)
async def list_export_batches(
    *, caller: Reader, services: ServicesDependency, limit: Limit = 50, cursor: Cursor = None
) -> Page[ExportBatchModel]:
    """List export batches, newest first."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    tenant_id = caller.tenant_id
    async with services.database.session(tenant_id) as session:
        rows = await exports.list_batches(
            session, tenant_id=tenant_id, after=after, limit=limit + 1
        )
        page = rows[:limit]
        counts = await exports.batch_counts(
            session, tenant_id=tenant_id, batch_ids=[row.id for row in page]
        )
    return Page(
        data=[ExportBatchModel.of(row, counts[row.id], services) for row in page],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


@router.get(
    "/{batch_id}",
    operation_id="getExportBatch",
    responses=documented(*WITH_KEY, ExportBatchNotFoundProblem),
)
async def get_export_batch(
    batch_id: UUID, caller: Reader, services: ServicesDependency
) -> ExportBatchModel:
    """Read a batch with its progress. `listExports` with its `batch_id` lists the exports."""
    row = await _found(services, caller.tenant_id, batch_id)
    return await _shown(services, row)


@router.get(
    "/{batch_id}/manifest",
    operation_id="getExportBatchManifest",
    responses=documented(*WITH_KEY, ExportBatchNotFoundProblem),
)
async def get_export_batch_manifest(
    batch_id: UUID, caller: Reader, services: ServicesDependency
) -> BatchManifestModel:
    """List all files of a batch that are ready, with their links."""
    row = await _found(services, caller.tenant_id, batch_id)
    return BatchManifestModel(
        id=row.id,
        status=ExportStatus(row.status),
        files=[file for file, _ in await _files(services, row)],
    )


@router.post(
    "/{batch_id}/cancel",
    operation_id="cancelExportBatch",
    responses=documented(*WITH_KEY, ExportBatchNotFoundProblem),
)
async def cancel_export_batch(
    batch_id: UUID, caller: Writer, services: ServicesDependency
) -> ExportBatchModel:
    """Begin no further export of a batch. Does nothing if the batch has finished.

    Exports that are being made finish, and files that are ready stay.
    """
    try:
        row = await services.export_batches.cancel(caller.tenant_id, batch_id)
    except RecordMissingError:
        raise ExportBatchNotFoundProblem from None
    return await _shown(services, row)


@router.post(
    "/{batch_id}/resume",
    operation_id="resumeExportBatch",
    responses=documented(*WITH_KEY, ExportBatchNotFoundProblem),
)
async def resume_export_batch(
    batch_id: UUID, caller: Writer, services: ServicesDependency
) -> ExportBatchModel:
    """Make the exports that are left of a canceled batch. Does nothing if it was not canceled."""
    try:
        row = await services.export_batches.resume(caller.tenant_id, batch_id)
    except RecordMissingError:
        raise ExportBatchNotFoundProblem from None
    return await _shown(services, row)


@router.delete(
    "/{batch_id}",
    operation_id="deleteExportBatch",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, ExportBatchNotFoundProblem),
)
async def delete_export_batch(
    batch_id: UUID, caller: Writer, actor: AuditActor, services: ServicesDependency
) -> Response:
    """Delete a batch with its exports and their files; what is unfinished is canceled.

    If the request fails, retry it; once the batch is gone the response is 404. Usage records are
    kept.
    """
    try:
        await services.export_batches.delete(caller.tenant_id, batch_id, actor=actor)
    except RecordMissingError:
        raise ExportBatchNotFoundProblem from None
    return Response(status_code=204)


@router.get(
    "/{batch_id}/files.zip",
    operation_id="downloadExportBatch",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses={
        200: {
            "description": "The ZIP file.",
            "content": {
                "application/zip": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **documented(ExportBatchNotFoundProblem, *FILE_PROBLEMS),
    },
)
async def download_export_batch(
    *,
    batch_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    place: ViewerPlace,
) -> Response:
    """Download all files of a batch that are ready, as a ZIP file, by its signed URL.

    Files of highlights that are withheld, or may not be shown where you are, are left out.

    The file is written while it is sent, without compression: its size is not known, and it has no
    ranges. For large batches, download the files of the manifest instead.
    """
    path = batch_zip_path(batch_id)
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    row = await _found(services, tenant, batch_id)
    files = [(file.name, key) for file, key in await _files(services, row, place=place)]
    return StreamingResponse(
        zipped(files, services.clips),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{batch_id}.zip"',
            "Content-Encoding": "identity",  # its files are compressed already
            "Cache-Control": f"private, max-age={min(60, remaining(expires))}",
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
    )


async def _found(services: Services, tenant_id: UUID, batch_id: UUID) -> ExportBatch:
    async with services.database.session(tenant_id) as session:
        row = await exports.get_batch(session, tenant_id=tenant_id, batch_id=batch_id)
    if row is None:
        raise ExportBatchNotFoundProblem
    return row


async def _shown(services: Services, row: ExportBatch) -> ExportBatchModel:
    async with services.database.session(row.tenant_id) as session:
        counts = await exports.batch_counts(session, tenant_id=row.tenant_id, batch_ids=[row.id])
    return ExportBatchModel.of(row, counts[row.id], services)


async def _files(
    services: Services, batch: ExportBatch, *, place: str | None = None
) -> list[tuple[BatchFileModel, str]]:
    """Return the files of a batch that are ready, each with its key in the clip store.

    Files that may not be read, at the place of a viewer, are left out.
    """
    tenant_id = batch.tenant_id
    async with services.database.session(tenant_id) as session:
        rows = await exports.exports_of_batch(session, tenant_id=tenant_id, batch_id=batch.id)
        specs = {row.id: exports.spec_of(row) for row in rows}
        ids = sorted({each for spec in specs.values() for each in spec.source.highlight_ids})
        about = await highlights.get_many(session, tenant_id=tenant_id, highlight_ids=ids)
    titles = {
        identity: headline(each.title, game=each.game, tags=each.tags, peak=each.peak)
        for identity, each in about.items()
    }
    localized = {identity: highlights.titles_of(each) for identity, each in about.items()}
    found = []
    for row in rows:
        source = specs[row.id].source
        shown = [about[each] for each in source.highlight_ids if each in about]
        if not all(is_readable(each, place) for each in shown):
            continue
        title = titles.get(source.highlight_id, "") if source.highlight_id else ""
        for number, result in exports.results_of(row).items():
            if result.key is None:
                continue
            rendition = specs[row.id].renditions[number - 1]
            path = export_path(row.id, number, "download")
            file = BatchFileModel(
                name=_file_name(row.batch_number or 0, title, number, result.key),
                export_id=row.id,
                number=number,
                format=rendition.format,
                highlight_id=source.highlight_id,
                stream_id=source.stream_id,
                title=title,
                titles=list(localized.get(source.highlight_id, ())) if source.highlight_id else [],
                start=source.start,
                end=source.end,
                size=result.size,
                sha256=result.sha256,
                url=services.links.sign(path, tenant_id=tenant_id),
            )
            found.append((file, result.key))
    return found


def _file_name(place: int, title: str, number: int, key: str) -> str:
    """Return a name that is a file's name everywhere, and differs from all others of the batch."""
    safe = one_line("".join(" " if each in _UNSAFE else each for each in title))
    words = safe[:_LONGEST_NAME].rstrip(" .")
    return f"{place:04d} {words} {number}".replace("  ", " ") + PurePosixPath(key).suffix
