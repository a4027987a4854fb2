"""Routes of recordings: find highlights in a finished video."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller, Writer
from api.errors.problems import (
    BodyTooLargeProblem,
    InvalidRequestProblem,
    StreamQuotaExceededProblem,
    UnavailableProblem,
    UnsupportedMediaTypeProblem,
    UrlForbiddenProblem,
)
from api.errors.reference import IDEMPOTENT, WITH_BODY, WITH_KEY, documented
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.middleware.request_context import request_id_of
from api.request_model import RequestModel
from api.services import Services, ServicesDependency
from api.streams.creation import created_stream
from api.streams.schemas import StreamModel
from app.services.streams import NewStream
from domain.highlights.publication import PolicyRequest, PublicationPolicy
from domain.profiles.criteria import CriteriaText
from domain.streams.messages import CRITERIA_DESCRIPTION, LANGUAGES_DESCRIPTION, POLICY_DESCRIPTION
from domain.text import (
    MOST_LANGUAGES,
    Language,
    LanguageTag,
    LanguageTags,
    Name,
    Title,
    Url,
)
from infra.media.recordings.cache import MAX_FILE_BYTES, UPLOADED, upload_key
from infra.ssrf import UrlForbiddenError
from infra.storage.segments import StoreError

UPLOAD_PATH: Final = "/v1/recordings/upload"
MAX_UPLOAD_BYTES: Final = MAX_FILE_BYTES
router = APIRouter(prefix="/v1/recordings", tags=["streams"])

_TALLEST: Final = 4320
_MEDIA_TYPE: Final = "application/octet-stream"


class RecordingOptions(BaseModel):
    """What is known of a recording."""

    model_config = ConfigDict(extra="forbid")

    game: Name | None = Field(
        default=None, description="Selects the profile, as for a live stream; else the title does."
    )
    title: Title = Field(default="", description="Display title.")
    language: Language | None = Field(
        default=None, description="Language of titles, tags and commentary, for search."
    )
    languages: LanguageTags | None = Field(default=None, description=LANGUAGES_DESCRIPTION)
    criteria: CriteriaText | None = Field(default=None, description=CRITERIA_DESCRIPTION)
    external_id: Name | None = Field(default=None, description="Your id of the recording.")


class AnalyzeRecordingRequest(RequestModel, RecordingOptions):
    """A recording to analyze."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://cdn.example.com/archive/cup-final.mp4",
                    "game": "soccer",
                    "title": "Cup final",
                    "language": "en",
                    "external_id": "match-4711",
                }
            ]
        }
    )

    url: Url = Field(
        description="A media file whose path ends in `.mp4`, `.mov`, `.mkv`, `.webm`, `.ts` or "
        "another common ending; a VOD playlist; or a `.zip` of a playlist with its segments. At "
        "most 4 GiB."
    )
    policy: PolicyRequest | None = Field(default=None, description=POLICY_DESCRIPTION)
    max_height: Annotated[int, Field(ge=1, le=_TALLEST)] | None = Field(
        default=None, description="Of a master playlist, read the best variant of this height."
    )


@router.post(
    "",
    operation_id="analyzeRecording",
    status_code=201,
    response_model=StreamModel,
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY, *WITH_BODY, *IDEMPOTENT, StreamQuotaExceededProblem, UrlForbiddenProblem
    ),
)
async def analyze_recording(
    body: AnalyzeRecordingRequest,
    caller: Writer,
    services: ServicesDependency,
    request: Request,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Find highlights in a finished video, as fast as the service can.

    The response is a stream with `is_recording` set, in status `starting`: read, stop and delete it
    like a live one. It is `ending` while it is analyzed, and `analyzed` of `duration` seconds are
    done. If the video cannot be used, the stream ends with a reason. Send an `Idempotency-Key`, so
    that a retry does not start a second analysis.
    """
    try:
        services.url_guard.check(body.url)
    except UrlForbiddenError as error:
        raise UrlForbiddenProblem(str(error)) from error
    once = IdempotentRequest(
        tenant_id=caller.tenant_id, key=idempotency_key, operation="analyzeRecording", body=body
    )
    ingest = {} if body.max_height is None else {"max_height": body.max_height}

    async def create(session: AsyncSession, stream_id: UUID) -> Created:
        new = _new_stream(
            caller,
            body,
            request,
            stream_id,
            url=body.url,
            ingest=ingest,
            policy=body.policy,
        )
        return await created_stream(services, session, new)

    return await once.respond(services.database, create)


class _Upload(BaseModel):
    """What identifies an upload, so that an idempotency key is valid for one only."""

    options: RecordingOptions
    size: int
    sha256: str


@router.post(
    UPLOAD_PATH.removeprefix(router.prefix),
    operation_id="uploadRecording",
    status_code=201,
    response_model=StreamModel,
    openapi_extra={
        "requestBody": {
            "description": "The media file.",
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
    responses=documented(
        *WITH_KEY,
        *IDEMPOTENT,
        BodyTooLargeProblem,
        StreamQuotaExceededProblem,
        UnsupportedMediaTypeProblem,
    ),
)
async def upload_recording(
    *,
    game: Annotated[Name | None, Query(description="Selects the profile.")] = None,
    title: Annotated[Title, Query(description="Display title.")] = "",
    language: Annotated[Language | None, Query(description="Language of titles and tags.")] = None,
    languages: Annotated[
        list[LanguageTag] | None,
        Query(description=f"Repeatable. {LANGUAGES_DESCRIPTION}", max_length=MOST_LANGUAGES),
    ] = None,
    criteria: Annotated[CriteriaText | None, Query(description=CRITERIA_DESCRIPTION)] = None,
    external_id: Annotated[Name | None, Query(description="Your id of the recording.")] = None,
    caller: Writer,
    services: ServicesDependency,
    request: Request,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Find highlights in a finished video that is the body of the request.

    The body is one media file (MP4, MOV, MKV, WebM, MPEG-TS and others) of at most 4 GiB, as
    `application/octet-stream`. The response is that of `analyzeRecording`; the file is deleted when
    the analysis has ended.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise UnsupportedMediaTypeProblem(f"Send the file as {_MEDIA_TYPE}.")
    options = RecordingOptions(
        game=game,
        title=title,
        language=language,
        languages=None if languages is None else tuple(languages),
        criteria=criteria,
        external_id=external_id,
    )
    file = await services.segments.scratch()
    try:
        upload = _Upload(options=options, **await _receive(request, file))
        once = IdempotentRequest(
            tenant_id=caller.tenant_id,
            key=idempotency_key,
            operation="uploadRecording",
            body=upload,
        )

        async def create(session: AsyncSession, stream_id: UUID) -> Created:
            key = upload_key(tenant_id=caller.tenant_id, stream_id=stream_id)
            new = _new_stream(caller, options, request, stream_id, url=f"{UPLOADED}{key}")
            # Not inside the transaction: a store may need minutes for a large file.
            return await created_stream(
                services, session, new, before=partial(_keep, services, key, file)
            )

        return await once.respond(services.database, create)
    finally:
        await asyncio.to_thread(file.unlink, missing_ok=True)


async def _receive(request: Request, file: Path) -> dict[str, Any]:
    """Write a body to a file; return its size in bytes and its SHA-256.

    Raises:
        InvalidRequestProblem: it is empty.
        BodyTooLargeProblem: it is too large.
        UnavailableProblem: there is no space for it.
    """
    digest, size = hashlib.sha256(), 0
    try:
        output = await asyncio.to_thread(file.open, "wb")
        with output:
            async for part in request.stream():
                digest.update(part)
                size += len(part)
                await asyncio.to_thread(output.write, part)
    except OSError as error:
        raise UnavailableProblem("The media store cannot take the file now.") from error
    if not size:
        raise InvalidRequestProblem("The body is empty; send the media file.")
    return {"size": size, "sha256": digest.hexdigest()}


async def _keep(services: Services, key: str, file: Path) -> None:
    """Put an uploaded file where a worker reads it.

    Raises:
        UnavailableProblem: the store does not take it.
    """
    try:
        await services.segments.adopt(key, file)
    except (OSError, StoreError) as error:
        raise UnavailableProblem("The media store cannot take the file now.") from error


def _new_stream(
    caller: Caller,
    options: RecordingOptions,
    request: Request,
    stream_id: UUID,
    *,
    url: str,
    ingest: dict[str, Any] | None = None,
    policy: PublicationPolicy | None = None,
) -> NewStream:
    return NewStream(
        tenant_id=caller.tenant_id,
        stream_id=stream_id,
        playlist_url=url,
        game=options.game,
        title=options.title,
        language=options.language,
        languages=options.languages,
        criteria=options.criteria,
        external_id=options.external_id,
        policy=policy,
        options=ingest or {},
        correlation_id=request_id_of(request.scope),
        is_recording=True,
    )
