"""Routes of tastes: what the feedback on a profile's highlights has taught."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Administrator, AuditActor, Reader
from api.errors.problems import ProfileNotFoundProblem
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.middleware.json_content import require_json
from api.profiles.schemas import ProfileId
from api.request_model import RequestModel
from api.services import Services, ServicesDependency
from app.services import tastes as taste_service
from domain.highlights.taste import MOST_MOVED, MOST_SHIFT, MOST_TRAIT_SHIFT, Taste, trait_words
from infra.db.repositories.profiles import Tastes, taste_of
from infra.db.tables import TasteRow

router = APIRouter(prefix="/v1/profiles/{profile_id}/taste", tags=["profiles"])
_ALWAYS = (*WITH_KEY, ProfileNotFoundProblem)
_TRAIT: Final[dict[str, Any]] = {
    "name": "signal.crowd",
    "words": "signal crowd",
    "weight": 0.31,
    "usual": 0.62,
    "likes": 21,
    "dislikes": 4,
}


class TasteTrait(BaseModel):
    """What your feedback says about one trait of highlights."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TRAIT]})

    name: str = Field(
        description="`signal.` and the signal of an evidence, `tag.` and a tag, or `dimension.` "
        "and a dimension on which a highlight scores above its own mean."
    )
    words: str
    weight: float = Field(
        description="Change of the score (log odds) of a highlight with the trait, compared with "
        f"one without it; from -{MOST_TRAIT_SHIFT:g} to {MOST_TRAIT_SHIFT:g}."
    )
    usual: float = Field(
        description="Mean of the trait among the highlights with a verdict. A highlight gains by "
        "what it has more than that."
    )
    likes: int = Field(description="Liked highlights with the trait.")
    dislikes: int = Field(description="Disliked highlights with the trait.")


class TasteModel(BaseModel):
    """What your feedback on the highlights of a profile has taught."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "profile_id": "soccer",
                    "version": 7,
                    "enabled": True,
                    "likes": 34,
                    "dislikes": 19,
                    "corrections": 6,
                    "starts_earlier": 1.4,
                    "ends_later": -0.3,
                    "traits": [_TRAIT],
                    "reset_at": None,
                    "updated_at": "2026-05-02T19:07:00Z",
                }
            ]
        }
    )

    profile_id: str
    version: int = Field(
        description="Rises with each change; 0 before the first. The evidence of a highlight "
        "names the version that shifted its score."
    )
    enabled: bool
    likes: int = Field(description="Verdicts that were learned from.")
    dislikes: int
    corrections: int = Field(description="Corrected bounds that were learned from.")
    starts_earlier: float = Field(
        description="Seconds by which highlights start earlier; negative is later; from "
        f"-{MOST_MOVED:g} to {MOST_MOVED:g}."
    )
    ends_later: float = Field(description="Seconds by which highlights end later, likewise.")
    traits: list[TasteTrait] = Field(
        description="Largest weights first. Together they shift a score by at most "
        f"{MOST_SHIFT:g} (log odds): 0.80 becomes 0.47 or 0.95."
    )
    reset_at: datetime | None = Field(description="Feedback from before is not learned from.")
    updated_at: datetime | None = Field(description="Null before the first feedback.")

    @classmethod
    def of(cls, profile_id: str, row: TasteRow | None) -> Self:
        """Return the taste of a profile; an empty one if nothing is stored."""
        taste = Taste() if row is None else taste_of(row)
        return cls(
            profile_id=profile_id,
            version=taste.version,
            enabled=row is None or row.enabled,
            likes=taste.likes,
            dislikes=taste.dislikes,
            corrections=taste.corrections,
            starts_earlier=taste.earlier,
            ends_later=taste.later,
            traits=[
                TasteTrait(name=name, words=trait_words(name), **shift.model_dump())
                for name, shift in taste.traits.items()
            ],
            reset_at=None if row is None else row.reset_at,
            updated_at=None if row is None else row.updated_at,
        )


class TasteRequest(RequestModel):
    """Whether to learn from feedback."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    enabled: bool = Field(
        description="If false, feedback is stored but changes no highlight. If true again, all "
        "feedback since the last reset is learned from."
    )


@router.get("", operation_id="getProfileTaste", responses=documented(*_ALWAYS))
async def get_taste(
    profile_id: ProfileId, caller: Reader, services: ServicesDependency
) -> TasteModel:
    """Read what your feedback on this profile's highlights has taught.

    Likes, dislikes and corrected bounds shift the scores and bounds of your next highlights with
    this profile. No other account's feedback counts, and yours counts for no other account.
    """
    async with services.database.session(caller.tenant_id) as session:
        row = await Tastes(session).get(caller.tenant_id, profile_id)
        if row is None:
            await _require_profile(services, session, caller.tenant_id, profile_id)
    return TasteModel.of(profile_id, row)


@router.patch(
    "",
    operation_id="updateProfileTaste",
    dependencies=[Depends(require_json)],
    responses=documented(*_ALWAYS, *WITH_BODY),
)
async def update_taste(
    *,
    profile_id: ProfileId,
    body: TasteRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
) -> TasteModel:
    """Disable or enable learning from feedback on this profile's highlights.

    It applies at once, also to running streams. Highlights that were already decided keep their
    scores.
    """
    async with services.database.session(caller.tenant_id) as session:
        await _require_profile(services, session, caller.tenant_id, profile_id)
        row = await taste_service.set_enabled(
            session,
            tenant_id=caller.tenant_id,
            profile_id=profile_id,
            enabled=body.enabled,
            actor=actor,
        )
    return TasteModel.of(profile_id, row)


@router.delete(
    "",
    operation_id="resetProfileTaste",
    status_code=204,
    response_class=Response,
    responses=documented(*_ALWAYS),
)
async def reset_taste(
    profile_id: ProfileId, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> None:
    """Forget what was learned: scores and bounds are the shared ones again.

    The feedback itself stays stored, but only feedback from now on is learned from.
    """
    async with services.database.session(caller.tenant_id) as session:
        await _require_profile(services, session, caller.tenant_id, profile_id)
        await taste_service.reset(
            session, tenant_id=caller.tenant_id, profile_id=profile_id, actor=actor
        )


async def _require_profile(
    services: Services, session: AsyncSession, tenant_id: UUID, profile_id: str
) -> None:
    """Check that the tenant has the profile, or had it when it gave feedback."""
    known = (await services.profiles.read(session, tenant_id)).catalog.profiles
    if profile_id not in known and await Tastes(session).get(tenant_id, profile_id) is None:
        raise ProfileNotFoundProblem
