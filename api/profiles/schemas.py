"""Request and response models of game profiles."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Header, Path
from pydantic import BaseModel, ConfigDict, Field, RootModel

from api.errors.problems import FieldProblem, InvalidProfileProblem
from api.request_model import RequestModel
from domain.profiles.catalog import TenantProfiles
from domain.profiles.documents import InvalidProfilesError, ProfileOverride
from domain.profiles.model import GameProfile, ProfileKind, Slug
from domain.text import Name

ProfileId = Annotated[Slug, Path(description="Such as `soccer`.", examples=["soccer"])]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^(\*|"[1-9][0-9]{0,8}")$',
        description="The `ETag` of the override as last read. Required if there is an override.",
        examples=['"3"'],
    ),
]
_PATCH: dict[str, Any] = {
    "thresholds": {"standard": 0.75},
    "selection": {"per_window": 3},
    "clip": {"pre_roll": 4.0},
}
_OVERRIDE: dict[str, Any] = {
    "profile_id": "soccer",
    "revision": 3,
    "patch": _PATCH,
    "created_at": "2026-05-02T19:00:00Z",
    "created_by": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51",
}


class ProfileSummary(BaseModel):
    """A profile in a list."""

    id: str = Field(examples=["soccer"])
    name: str = Field(examples=["Soccer"])
    kind: ProfileKind
    version: str = Field(
        description="Hash of the rules, including your overrides.",
        examples=["5be0f1c2a9d3"],
    )
    overridden: bool = Field(description="Whether you have an override of it.")
    shipped: bool = Field(description="False for a profile of your own.")

    @classmethod
    def of(cls, profile: GameProfile, profiles: TenantProfiles) -> Self:
        """Return the summary of a profile."""
        return cls(
            id=profile.id,
            name=profile.name,
            kind=profile.kind,
            version=profile.version,
            overridden=_is_overridden(profile.id, profiles),
            shipped=profile.id in profiles.shipped.profiles,
        )


class ProfileList(BaseModel):
    """All profiles that a tenant's streams may use, by id."""

    data: list[ProfileSummary]


class ProfileDetail(BaseModel):
    """A complete profile, with inheritance and your overrides applied."""

    profile: GameProfile
    overridden: bool = Field(description="Whether you have an override of it.")
    shipped: bool = Field(description="False for a profile of your own.")

    @classmethod
    def of(cls, profile: GameProfile, profiles: TenantProfiles) -> Self:
        """Return a complete profile."""
        return cls(
            profile=profile,
            overridden=_is_overridden(profile.id, profiles),
            shipped=profile.id in profiles.shipped.profiles,
        )


class OverridePatch(RootModel[dict[str, object]]):
    """Changes to the shipped profile, as a JSON Merge Patch (RFC 7396).

    Mappings are merged by key, lists are replaced, and `null` removes an inherited entry. The keys
    are those of a profile. For an id that is not shipped, it is a complete profile of your own.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_PATCH]})


class OverrideModel(BaseModel):
    """A revision of an override."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OVERRIDE]})

    profile_id: str
    revision: int = Field(description="Starts at 1; in quotes, it is the `ETag`.")
    patch: dict[str, Any] = Field(description="Empty if the override was deleted.")
    created_at: datetime
    created_by: UUID | None = Field(description="The API key.")

    @classmethod
    def of(cls, override: ProfileOverride) -> Self:
        """Return a revision."""
        return cls(**override.model_dump(exclude={"tenant_id"}))


class OverrideDetail(OverrideModel):
    """The current override, and whether it is applied."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OVERRIDE | {"problems": []}]})

    problems: list[str] = Field(
        description="Why the override is not applied, if it no longer fits the shipped profiles."
    )


class OverrideHistory(BaseModel):
    """Revisions, newest first."""

    data: list[OverrideModel]


class MatchRequest(RequestModel):
    """A text to match a profile with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Premier League"}]})

    text: Name = Field(description="Game, sport, league, team or title, as people type it.")


def _is_overridden(profile_id: str, profiles: TenantProfiles) -> bool:
    return profile_id in profiles.overrides and profile_id not in profiles.refused


def invalid_profile(
    error: InvalidProfilesError, *, about: str, pointer: str = ""
) -> InvalidProfileProblem:
    """Return the problem of an invalid override, which the body has at `pointer`.

    It points into the body if the fault is in it; else it names the document.
    """
    own = f"override {about} revision"
    return InvalidProfileProblem(
        errors=[
            FieldProblem(
                pointer=pointer + "".join(f"/{_escaped(key)}" for key in problem.path),
                detail=problem.words,
            )
            if problem.source.startswith(f"{own} ")
            else FieldProblem(pointer=pointer, detail=str(problem))
            for problem in error.problems
        ]
    )


def _escaped(key: str | int) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
