"""Routes of a stream's clips: ask for one, and list them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Reader, Writer
from api.clips.schemas import ClipDetail
from api.errors.problems import (
    ClipQuotaExceededProblem,
    ClipTooLongProblem,
    InvalidCursorProblem,
    MediaGoneProblem,
    MediaMissingProblem,
    MediaNotReadyProblem,
    NoWallClockProblem,
    StreamNotFoundProblem,
)
from api.errors.reference import IDEMPOTENT, WITH_BODY, WITH_KEY, documented
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.request_model import RequestModel, Timestamp
from api.services import Services, ServicesDependency
from app.services.clips import ClipRequest, RequestedClips
from app.services.highlights import withheld_highlights
from domain.clips.spans import (
    AroundTime,
    LastSeconds,
    MediaGoneError,
    MediaMissingError,
    MediaNotReadyError,
    NoWallClockError,
    OnGap,
    StreamSpan,
    WantedSpan,
)
from domain.clips.tracker import SHORTEST
from domain.tenants.usage import ClipQuotaExceededError, ClipTooLongError
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, streams
from infra.db.repositories.idempotency import StoredResponse

router = APIRouter(prefix="/v1/streams/{stream_id}/clips", tags=["clips"])

_NEWEST: Final = "-created_at"
_LONGEST_TITLE: Final = 200
_LONGEST: Final = 86_400.0
_Length = Annotated[FiniteFloat, Field(ge=0, le=_LONGEST)]


class CreateClipRequest(RequestModel):
    """A clip on demand: exactly one of `from` with `to`, `last`, and `at`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"from": 301.5, "to": 331.5, "title": "The free kick"},
                {"last": 30},
                {"at": "2026-05-02T19:05:07Z", "before": 20, "after": 5, "on_gap": "split"},
            ]
        }
    )

    start: _Length | None = Field(
        default=None, alias="from", description="Seconds of media time at which the clip begins."
    )
    to: _Length | None = Field(default=None, description="Seconds of media time at which it ends.")
    last: Annotated[FiniteFloat, Field(ge=SHORTEST, le=_LONGEST)] | None = Field(
        default=None, description="The latest seconds of the stream."
    )
    at: Timestamp | None = Field(
        default=None,
        description="An instant of the stream's wall clock (`EXT-X-PROGRAM-DATE-TIME`).",
    )
    before: _Length = Field(default=15.0, description="Seconds before `at`.")
    after: _Length = Field(default=5.0, description="Seconds after `at`.")
    title: str = Field(default="", max_length=_LONGEST_TITLE, description="For people.")
    on_gap: Literal["refuse", "split"] = Field(
        default="refuse",
        description="If media is missing within the span: `refuse` the request, or `split` it into "
        "one clip per part of at least a second; `missing` of the response lists the rest.",
    )

    @model_validator(mode="after")
    def _one_span(self) -> Self:
        spans = (self.start is not None or self.to is not None, self.last is not None)
        if [*spans, self.at is not None].count(True) != 1:
            raise ValueError("needs exactly one of `from` with `to`, `last`, and `at`")
        if spans[0] and (self.start is None or self.to is None):
            raise ValueError("needs both `from` and `to`")
        if self.at is None and {"before", "after"} & self.model_fields_set:
            raise ValueError("takes `before` and `after` only with `at`")
        if self.wanted.duration < SHORTEST:
            raise ValueError(f"a clip lasts at least {SHORTEST:g} s")
        return self

    @property
    def wanted(self) -> WantedSpan:
        """The span that is asked for."""
        if self.start is not None and self.to is not None:
            return StreamSpan(start=self.start, end=self.to)
        if self.at is not None:
            return AroundTime(at=self.at, before=self.before, after=self.after)
        return LastSeconds(seconds=self.last or 0.0)


class MissingMedia(BaseModel):
    """A part of the span without media; seconds of media time."""

    start: float
    end: float


class CreatedClips(BaseModel):
    """The clips that were made of a span: one, unless `on_gap` is `split`; in order."""

    data: list[ClipDetail]
    missing: list[MissingMedia] = Field(description="Parts of the span that no clip shows.")


@router.post(
    "",
    operation_id="createClip",
    status_code=201,
    response_model=CreatedClips,
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        *WITH_BODY,
        *IDEMPOTENT,
        StreamNotFoundProblem,
        ClipQuotaExceededProblem,
        ClipTooLongProblem,
        MediaGoneProblem,
        MediaMissingProblem,
        MediaNotReadyProblem,
        NoWallClockProblem,
    ),
)
async def create_clip(
    stream_id: UUID,
    body: CreateClipRequest,
    caller: Writer,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Make a clip of any part of a stream whose media is kept.

    The last ten minutes of a live stream are kept, and those before its end for some minutes more.
    A clip is never shorter than asked for: a span that reaches beyond the kept media or touches a
    gap is refused, with what is there. The response is immediate, with clips in status `rendering`
    that can be played by `playback.hls_url`; `clip.ready` follows. Send an `Idempotency-Key`, so
    that a retry makes no second clip.
    """

    async def create(session: AsyncSession, request_id: UUID) -> Created:
        request = ClipRequest(
            tenant_id=caller.tenant_id,
            stream_id=stream_id,
            request_id=request_id,
            span=body.wanted,
            title=body.title,
            on_gap=OnGap(body.on_gap),
        )
        made = await _create(services, session, request)
        shown = CreatedClips(
            data=[ClipDetail.of(row, services) for row in made.rows],
            missing=[MissingMedia(start=each.start, end=each.end) for each in made.missing],
        )
        return Created(
            response=StoredResponse(
                status=201,
                headers={"Location": f"/v1/clips/{made.rows[0].id}"},
                body=shown.model_dump(mode="json"),
            ),
            start=partial(services.clip_requests.start, made.specs),
        )

    once = IdempotentRequest(
        tenant_id=caller.tenant_id,
        key=idempotency_key,
        operation=f"createClip {stream_id}",
        body=body,
    )
    return await once.respond(services.database, create)


@router.get(
    "",
    operation_id="listStreamClips",
    responses=documented(*WITH_KEY, InvalidCursorProblem, StreamNotFoundProblem),
)
async def list_stream_clips(
    stream_id: UUID,
    caller: Reader,
    services: ServicesDependency,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ClipDetail]:
    """List a stream's clips, of highlights and on demand, newest first; deleted ones aside."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        if await streams.get(session, tenant_id=caller.tenant_id, stream_id=stream_id) is None:
            raise StreamNotFoundProblem
        rows = await clips.list_page(
            session,
            tenant_id=caller.tenant_id,
            stream_id=stream_id,
            after=after,
            limit=limit + 1,
        )
        withheld = await withheld_highlights(session, rows)
    return Page(
        data=[
            ClipDetail.of(row, services, is_withheld=row.highlight_id in withheld)
            for row in rows[:limit]
        ],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


async def _create(
    services: Services, session: AsyncSession, request: ClipRequest
) -> RequestedClips:
    try:
        return await services.clip_requests.create(session, request)
    except RecordMissingError:
        raise StreamNotFoundProblem from None
    except ClipTooLongError as error:
        raise ClipTooLongProblem(str(error)) from error
    except ClipQuotaExceededError as error:
        raise ClipQuotaExceededProblem(f"{error} {ClipQuotaExceededProblem.advice}") from error
    except MediaGoneError as error:
        raise MediaGoneProblem(str(error)) from error
    except MediaNotReadyError as error:
        raise MediaNotReadyProblem(str(error)) from error
    except MediaMissingError as error:
        raise MediaMissingProblem(f"{error} {MediaMissingProblem.advice}") from error
    except NoWallClockError as error:
        raise NoWallClockProblem(f"{error} {NoWallClockProblem.advice}") from error
