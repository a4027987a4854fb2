"""Routes of clips, and their files behind signed URLs."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from api.auth import Reader, Writer
from api.clips.schemas import ClipDetail
from api.errors.problems import (
    ClipNotFoundProblem,
    ExpiredSignatureProblem,
    HighlightClipProblem,
    InvalidRequestProblem,
    InvalidSignatureProblem,
    MissingScopeProblem,
    RangeNotSatisfiableProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
)
from api.errors.reference import WITH_KEY, documented
from api.middleware.conditional import matches
from api.middleware.request_context import request_id_of
from api.middleware.routing import WITHOUT_KEY
from api.services import Services, ServicesDependency
from app.services.clips import HighlightClipError
from domain.clips.models import ClipStatus
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips
from infra.db.tables import Clip
from infra.storage.media_types import media_type
from infra.storage.signed_urls import UrlVerdict, clip_path

router = APIRouter(prefix="/v1/clips", tags=["clips"])
_REDIRECT_CACHED: Final = 60
"""Seconds for which a client may reuse a redirect, and read a clip that was deleted meanwhile."""

_REFUSALS: Final = frozenset({400, 416})
FILE_PROBLEMS: Final = (
    ExpiredSignatureProblem,
    InvalidSignatureProblem,
    InvalidRequestProblem,
    RangeNotSatisfiableProblem,
    UnavailableProblem,
)
"""Problems of every file behind a signed URL."""

Tenant = Annotated[UUID, Query(description="From the signed URL.")]
Expires = Annotated[int, Query(ge=0, le=1 << 40, description="From the signed URL.")]
Signature = Annotated[str, Query(max_length=64, description="From the signed URL.")]


def _file_responses(media_type: str) -> dict[int | str, dict[str, object]]:
    binary = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": "The file.", "content": binary},
        206: {"description": "The requested range.", "content": binary},
        304: {"description": "Unchanged since the `ETag` in `If-None-Match`."},
        307: {
            "description": "The file is in S3 or a CDN: `Location` reads it, with ranges, until "
            "the signed URL expires or for seven days. Follow it; do not store it.",
        },
        **documented(ClipNotFoundProblem, *FILE_PROBLEMS),
    }


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
    return ClipDetail.of(row, services)


@router.delete(
    "/{clip_id}",
    operation_id="deleteClip",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, ClipNotFoundProblem, HighlightClipProblem),
)
async def delete_clip(clip_id: UUID, caller: Writer, services: ServicesDependency) -> Response:
    """Delete a clip on demand with its files. Its row stays, with the status `deleted`."""
    try:
        async with services.database.session(caller.tenant_id) as session:
            await services.clip_requests.delete(
                session, tenant_id=caller.tenant_id, clip_id=clip_id
            )
    except RecordMissingError:
        raise ClipNotFoundProblem from None
    except HighlightClipError:
        raise HighlightClipProblem from None
    return Response(status_code=204)


@router.head("/{clip_id}/download", include_in_schema=False)
@router.get(
    "/{clip_id}/download",
    operation_id="downloadClip",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=_file_responses("video/mp4"),
)
async def download_clip(
    *,
    clip_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    request: Request,
) -> Response:
    """Download a clip by its signed URL. No API key is needed; ranges are supported.

    Follow redirects: an installation that stores clips in S3 answers with one.
    """
    check_signature(
        services,
        clip_path(clip_id, "download"),
        tenant=tenant,
        expires=expires,
        signature=signature,
    )
    row = await _ready_clip(services, tenant, clip_id)
    return await _serve(services, row, row.key, request, etag=row.sha256, expires=expires)


@router.head("/{clip_id}/thumbnail", include_in_schema=False)
@router.get(
    "/{clip_id}/thumbnail",
    operation_id="downloadThumbnail",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=_file_responses("image/jpeg"),
)
async def download_thumbnail(
    *,
    clip_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    request: Request,
) -> Response:
    """Download a clip's thumbnail by its signed URL. No API key is needed."""
    check_signature(
        services,
        clip_path(clip_id, "thumbnail"),
        tenant=tenant,
        expires=expires,
        signature=signature,
    )
    row = await _ready_clip(services, tenant, clip_id)
    return await _serve(services, row, row.thumbnail_key, request, etag=None, expires=expires)


def check_signature(
    services: Services, path: str, *, tenant: UUID, expires: int, signature: str
) -> None:
    """Check the query of a signed URL.

    Raises:
        InvalidSignatureProblem: the URL was changed.
        ExpiredSignatureProblem: its time is over.
    """
    verdict = services.signer.check(
        path,
        tenant_id=tenant,
        expires=expires,
        signature=signature,
        now=time.time(),
    )
    if verdict is UrlVerdict.FORGED:
        raise InvalidSignatureProblem
    if verdict is UrlVerdict.EXPIRED:
        raise ExpiredSignatureProblem


async def _ready_clip(services: Services, tenant_id: UUID, clip_id: UUID) -> Clip:
    async with services.database.session(tenant_id) as session:
        row = await clips.get(session, tenant_id=tenant_id, clip_id=clip_id)
    if row is None or row.status != ClipStatus.READY:
        raise ClipNotFoundProblem
    return row


async def _serve(
    services: Services,
    row: Clip,
    key: str | None,
    request: Request,
    *,
    etag: str | None,
    expires: int,
) -> Response:
    if key is None:
        raise ClipNotFoundProblem
    path = await services.clips.locate(key, expires=expires, head=request.method == "HEAD")
    if isinstance(path, str):
        return redirect_to(path, expires=expires)
    try:
        found = await asyncio.to_thread(path.stat)
    except OSError:
        raise ClipNotFoundProblem("The clip's file was deleted.") from None
    headers = {
        "Cache-Control": f"private, max-age={remaining(expires)}, immutable",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if etag is not None:
        headers["ETag"] = f'"{etag}"'
    response = SignedFileResponse(
        path, request_id_of(request.scope), headers=headers, stat_result=found, name=f"{row.id}"
    )
    if matches(request.headers.get("if-none-match"), response.headers["etag"]):
        kept = {name: response.headers[name] for name in ("etag", "cache-control")}
        return Response(status_code=304, headers=kept)
    return response


def redirect_to(url: str, *, expires: int) -> Response:
    """Send a client to S3 or the CDN; the bytes never pass through us."""
    headers = {
        "Location": url,
        "Cache-Control": f"private, max-age={min(_REDIRECT_CACHED, remaining(expires))}",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
    }
    return Response(status_code=307, headers=headers)


def remaining(expires: int) -> int:
    """Return the seconds until a Unix time."""
    return max(0, expires - int(time.time()))


class SignedFileResponse(FileResponse):
    """A file response with ranges, whose errors are problem documents."""

    def __init__(
        self,
        path: Path,
        request_id: str,
        *,
        headers: dict[str, str],
        stat_result: os.stat_result,
        name: str,
    ) -> None:
        super().__init__(
            path,
            headers=headers,
            media_type=media_type(path.name),
            filename=f"{name}{path.suffix}",
            content_disposition_type="inline",
            stat_result=stat_result,
        )
        self._request_id = request_id
        self._size = stat_result.st_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file or the requested range."""
        refused: list[int] = []

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _REFUSALS:
                refused.append(message["status"])
            if not refused:
                await send(message)

        await super().__call__(scope, receive, watch)
        if refused:
            # RFC 9110, 14.2: a malformed Range may be ignored, but a client that meant one would
            # then download everything, so it is rejected instead.
            problem = RangeNotSatisfiableProblem(headers={"Content-Range": f"bytes */{self._size}"})
            await problem.response(self._request_id)(scope, receive, send)
