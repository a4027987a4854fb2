"""Route that tries an override: what it makes of a profile, and of a stream's highlights."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Reader
from api.errors.problems import (
    FieldProblem,
    InvalidProfileProblem,
    InvalidRequestProblem,
    ProfileNotFoundProblem,
    StreamNotFoundProblem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.middleware.json_content import require_json
from api.profiles.schemas import ProfileId, invalid_profile
from api.request_model import RequestModel
from api.services import ServicesDependency
from app.services.profiles import (
    MOST_PREVIEWED,
    PreviewedCandidate,
    TooManyCandidatesError,
    preview_stream,
)
from domain.highlights.selection import DecisionStatus, Reason, Tier
from domain.profiles.documents import InvalidProfilesError
from domain.profiles.model import GameProfile
from domain.streams.backfill.messages import SHOWN
from infra.db.errors import RecordMissingError

_STREAM: Final = "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11"
_HIGHLIGHT: Final[dict[str, Any]] = {
    "highlight_id": "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
    "title": "Equalizer in the 21st minute",
    "peak": 1267.4,
    "change": "removed",
    "status": "confirmed",
    "new_status": "rejected",
    "score": 0.74,
    "new_score": 0.74,
    "new_tier": "below",
    "new_reasons": [
        {
            "code": "threshold",
            "words": "Its score is below the standard threshold of 0.75.",
            "value": None,
            "limit": 0.75,
            "other": None,
        }
    ],
}
router = APIRouter(prefix="/v1/profiles/{profile_id}/override", tags=["profiles"])


class PreviewRequest(RequestModel):
    """An override to try, and a stream to try it on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"patch": {"thresholds": {"standard": 0.75}}, "stream_id": _STREAM}]
        }
    )

    patch: dict[str, object] | None = Field(
        default=None,
        description="The override, as `putProfileOverride` takes it. By default the profile as it "
        "is now.",
    )
    stream_id: UUID | None = Field(
        default=None, description="A stream whose candidates are decided on again."
    )


class PreviewChange(StrEnum):
    """What becomes of a highlight."""

    KEPT = "kept"
    ADDED = "added"
    REMOVED = "removed"


class PreviewedHighlight(BaseModel):
    """A highlight that is shown before, after, or both; `peak` in seconds of media time."""

    model_config = ConfigDict(json_schema_extra={"examples": [_HIGHLIGHT]})

    highlight_id: UUID
    title: str
    peak: float
    change: PreviewChange
    status: DecisionStatus
    new_status: DecisionStatus
    score: float
    new_score: float
    new_tier: Tier
    new_reasons: list[Reason] = Field(description="Reasons of the decision by the new rules.")

    @classmethod
    def of(cls, previewed: PreviewedCandidate) -> Self:
        """Return a highlight that is shown before or after."""
        before, after = previewed.before, previewed.after
        change = PreviewChange.KEPT
        if before.status not in SHOWN:
            change = PreviewChange.ADDED
        elif after.status not in SHOWN:
            change = PreviewChange.REMOVED
        return cls(
            highlight_id=previewed.candidate.id,
            title=previewed.candidate.title,
            peak=previewed.candidate.peak,
            change=change,
            status=before.status,
            new_status=after.status,
            score=before.score,
            new_score=after.score,
            new_tier=after.tier,
            new_reasons=list(after.reasons),
        )


class StreamPreview(BaseModel):
    """What the profile would have decided about a stream.

    Scores, thresholds, limits, spacing, similarity and clip lengths are applied again to the
    recorded candidates. What changes the analysis itself (`hud`, `analyzer`, `prompt`) shows in
    the next stream only.
    """

    stream_id: UUID
    candidates: int = Field(description="Recorded candidates, including those never shown.")
    highlights_before: int
    highlights_after: int
    highlights: list[PreviewedHighlight] = Field(description="By time.")

    @classmethod
    def of(cls, stream_id: UUID, previewed: list[PreviewedCandidate]) -> Self:
        """Return the preview of a stream."""
        before = [each for each in previewed if each.before.status in SHOWN]
        after = [each for each in previewed if each.after.status in SHOWN]
        return cls(
            stream_id=stream_id,
            candidates=len(previewed),
            highlights_before=len(before),
            highlights_after=len(after),
            highlights=[
                PreviewedHighlight.of(each)
                for each in previewed
                if {each.before.status, each.after.status} & SHOWN
            ],
        )


class ProfilePreview(BaseModel):
    """A profile with an override applied, and what it would have decided."""

    profile: GameProfile
    stream: StreamPreview | None = Field(description="Null if no stream is named.")


@router.post(
    "/preview",
    operation_id="previewProfileOverride",
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        *WITH_BODY,
        InvalidProfileProblem,
        ProfileNotFoundProblem,
        StreamNotFoundProblem,
    ),
)
async def preview_override(
    profile_id: ProfileId, body: PreviewRequest, caller: Reader, services: ServicesDependency
) -> ProfilePreview:
    """Validate an override and show its effect on a stream. Stores nothing.

    The rules are those of `putProfileOverride`: what is valid here can be stored.
    """
    tenant_id = caller.tenant_id
    async with services.database.session(tenant_id) as session:
        try:
            profile = await services.profiles.preview(
                session, tenant_id=tenant_id, profile_id=profile_id, patch=body.patch
            )
        except InvalidProfilesError as error:
            raise invalid_profile(error, about=profile_id, pointer="/patch") from error
        if profile is None:
            raise ProfileNotFoundProblem
        if body.stream_id is None:
            return ProfilePreview(profile=profile, stream=None)
        try:
            previewed = await preview_stream(
                session, profile, tenant_id=tenant_id, stream_id=body.stream_id
            )
        except RecordMissingError as error:
            raise StreamNotFoundProblem from error
        except TooManyCandidatesError as error:
            detail = f"has over {MOST_PREVIEWED:,} candidates: choose a shorter stream"
            raise InvalidRequestProblem(
                errors=[FieldProblem(pointer="/stream_id", detail=detail)]
            ) from error
    return ProfilePreview(profile=profile, stream=StreamPreview.of(body.stream_id, previewed))
