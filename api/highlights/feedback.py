"""Routes of feedback on highlights."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.auth import Reader, Writer
from api.errors.problems import (
    FieldProblem,
    HighlightNotFoundProblem,
    InvalidCursorProblem,
    InvalidRequestProblem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.middleware.json_content import require_json
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.request_model import RequestModel
from api.services import ServicesDependency
from app.services import highlights as highlight_service
from domain.highlights.feedback import CorrectionError, FeedbackVerdict, HighlightCorrection
from domain.text import Name, Title
from infra.db.errors import RecordMissingError
from infra.db.repositories import highlights
from infra.db.tables import HighlightFeedbackRow

_NEWEST: Final = "-created_at"
_OPINION: Final[dict[str, Any]] = {
    "user": "editor-7",
    "verdict": "like",
    "correction": {"start": 301.5, "end": 313.0},
    "note": "keep the celebration",
}
router = APIRouter(prefix="/v1/highlights/{highlight_id}/feedback", tags=["highlights"])
_ALWAYS = (*WITH_KEY, HighlightNotFoundProblem)


class FeedbackRequest(RequestModel):
    """A user's feedback on a highlight: at least a verdict, a correction or a note."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OPINION]})

    user: Name | None = Field(
        default=None,
        description="Your id or name of the user; defaults to the API key. Each user has one "
        "feedback per highlight, the latest.",
    )
    verdict: FeedbackVerdict | None = None
    correction: HighlightCorrection | None = Field(
        default=None, description="The correct start and end, in seconds of media time."
    )
    note: Title = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.verdict is None and self.correction is None and not self.note:
            message = "give a verdict, a correction or a note"
            raise ValueError(message)
        return self


class FeedbackModel(BaseModel):
    """A user's feedback on a highlight."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _OPINION
                | {
                    "highlight_id": "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
                    "created_at": "2026-05-02T19:07:00Z",
                    "updated_at": "2026-05-02T19:07:00Z",
                }
            ]
        }
    )

    highlight_id: UUID
    user: str
    verdict: FeedbackVerdict | None
    correction: HighlightCorrection | None
    note: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: HighlightFeedbackRow) -> Self:
        """Return stored feedback."""
        corrected = row.start is not None and row.end is not None
        return cls(
            highlight_id=row.highlight_id,
            user=row.author,
            verdict=None if row.verdict is None else FeedbackVerdict(row.verdict),
            correction=HighlightCorrection(start=row.start, end=row.end) if corrected else None,
            note=row.note,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@router.post(
    "",
    operation_id="giveFeedback",
    dependencies=[Depends(require_json)],
    responses=documented(*_ALWAYS, *WITH_BODY),
)
async def give_feedback(
    highlight_id: UUID, body: FeedbackRequest, caller: Writer, services: ServicesDependency
) -> FeedbackModel:
    """Rate a highlight or correct its bounds. Replaces the user's previous feedback.

    Verdicts and corrections change the scores and bounds of your next highlights with the same
    profile (`GET /v1/profiles/{profile_id}/taste`). While the stream runs and its media is
    still stored (the last ten minutes), a new clip with the corrected bounds is rendered;
    `clip.ready` announces it. It replaces the previous clip, whose links keep working. After that,
    the clip is not changed.
    """
    try:
        given = await highlight_service.give_feedback(
            services.database,
            services.starter,
            tenant_id=caller.tenant_id,
            highlight_id=highlight_id,
            author=body.user or f"key:{caller.key_id}",
            verdict=body.verdict,
            correction=body.correction,
            note=body.note,
        )
    except RecordMissingError:
        raise HighlightNotFoundProblem from None
    except CorrectionError as error:
        raise InvalidRequestProblem(
            errors=[FieldProblem(pointer="/correction", detail=str(error))]
        ) from error
    return FeedbackModel.of(given)


@router.get("", operation_id="listFeedback", responses=documented(*_ALWAYS, InvalidCursorProblem))
async def list_feedback(
    *,
    highlight_id: UUID,
    caller: Reader,
    services: ServicesDependency,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[FeedbackModel]:
    """List the feedback on a highlight, newest first."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        if not await highlights.get(session, tenant_id=caller.tenant_id, highlight_id=highlight_id):
            raise HighlightNotFoundProblem
        rows = await highlights.list_feedback(
            session,
            tenant_id=caller.tenant_id,
            highlight_id=highlight_id,
            after=after,
            limit=limit + 1,
        )
    return Page(
        data=[FeedbackModel.of(row) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )
