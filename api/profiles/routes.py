"""Routes of game profiles and a tenant's overrides of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from api.auth import Administrator, AuditActor, Reader
from api.errors.problems import (
    InvalidProfileProblem,
    OverrideNotFoundProblem,
    PreconditionFailedProblem,
    PreconditionRequiredProblem,
    ProfileNotFoundProblem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.middleware.json_content import require_json
from api.pagination import Limit
from api.profiles.schemas import (
    IfMatch,
    MatchRequest,
    OverrideDetail,
    OverrideHistory,
    OverrideModel,
    OverridePatch,
    ProfileDetail,
    ProfileId,
    ProfileList,
    ProfileSummary,
    invalid_profile,
)
from api.services import ServicesDependency
from app.services import profiles as override_service
from domain.profiles.documents import InvalidProfilesError, ProfileOverride
from domain.profiles.matching import ProfileMatch
from infra.db.repositories.profiles import ProfileOverrides

router = APIRouter(prefix="/v1/profiles", tags=["profiles"])
_CHANGE = (InvalidProfileProblem, PreconditionFailedProblem, PreconditionRequiredProblem)
_ETAG = {"ETag": {"description": "The revision.", "schema": {"type": "string"}}}


@router.get("", operation_id="listProfiles", responses=documented(*WITH_KEY))
async def list_profiles(caller: Reader, services: ServicesDependency) -> ProfileList:
    """List all profiles: the shipped ones with your overrides applied, and your own."""
    async with services.database.session(caller.tenant_id) as session:
        profiles = await services.profiles.read(session, caller.tenant_id)
    catalog = profiles.catalog
    return ProfileList(
        data=[ProfileSummary.of(catalog.get(id_), profiles) for id_ in catalog.ids()]
    )


@router.post(
    "/match",
    operation_id="matchProfile",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY),
)
async def match_profile(
    body: MatchRequest, caller: Reader, services: ServicesDependency
) -> ProfileMatch:
    """Return the profile that a stream with this game or title would get. Stores nothing."""
    async with services.database.session(caller.tenant_id) as session:
        profiles = await services.profiles.read(session, caller.tenant_id)
    return profiles.match(body.text)


@router.get(
    "/{profile_id}",
    operation_id="getProfile",
    responses=documented(*WITH_KEY, ProfileNotFoundProblem),
)
async def get_profile(
    profile_id: ProfileId, caller: Reader, services: ServicesDependency
) -> ProfileDetail:
    """Read a complete profile: weights, thresholds, limits, clip lengths, tags, moments."""
    async with services.database.session(caller.tenant_id) as session:
        profiles = await services.profiles.read(session, caller.tenant_id)
    profile = profiles.catalog.profiles.get(profile_id)
    if profile is None:
        raise ProfileNotFoundProblem
    return ProfileDetail.of(profile, profiles)


@router.get(
    "/{profile_id}/override",
    operation_id="getProfileOverride",
    response_model=OverrideDetail,
    responses={200: {"headers": _ETAG}, **documented(*WITH_KEY, OverrideNotFoundProblem)},
)
async def get_override(
    profile_id: ProfileId, caller: Reader, services: ServicesDependency, response: Response
) -> OverrideDetail:
    """Read your override of a profile. Send its `ETag` as `If-Match` to change it."""
    async with services.database.session(caller.tenant_id) as session:
        profiles = await services.profiles.read(session, caller.tenant_id)
    override = profiles.overrides.get(profile_id)
    if override is None:
        raise OverrideNotFoundProblem
    response.headers["ETag"] = _etag(override)
    problems = [str(problem) for problem in profiles.refused.get(profile_id, ())]
    return OverrideDetail(**OverrideModel.of(override).model_dump(), problems=problems)


@router.get(
    "/{profile_id}/override/history",
    operation_id="listProfileOverrideRevisions",
    responses=documented(*WITH_KEY, OverrideNotFoundProblem),
)
async def list_override_revisions(
    profile_id: ProfileId,
    caller: Reader,
    services: ServicesDependency,
    before: Annotated[
        int | None, Query(ge=1, lt=2**31, description="Return only revisions before this one.")
    ] = None,
    limit: Limit = 50,
) -> OverrideHistory:
    """List the revisions of an override, newest first, including deletions."""
    async with services.database.session(caller.tenant_id) as session:
        stored = ProfileOverrides(session)
        if await stored.next_revision(caller.tenant_id, profile_id) == 1:
            raise OverrideNotFoundProblem
        revisions = await stored.history_page(
            caller.tenant_id, profile_id, before=before, limit=limit
        )
    return OverrideHistory(data=[OverrideModel.of(revision) for revision in revisions])


@router.put(
    "/{profile_id}/override",
    operation_id="putProfileOverride",
    response_model=OverrideModel,
    dependencies=[Depends(require_json)],
    responses={
        200: {"description": "A new revision replaced the previous one.", "headers": _ETAG},
        201: {"description": "The override was created.", "model": OverrideModel, "headers": _ETAG},
        **documented(*WITH_KEY, *WITH_BODY, *_CHANGE),
    },
)
async def put_override(
    *,
    profile_id: ProfileId,
    body: OverridePatch,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Override a profile for your streams, or add a profile of your own.

    The override replaces the previous one. It applies to streams started from now on; running
    streams keep their profile. All your profiles are validated with it before it is stored.
    """
    async with services.database.session(caller.tenant_id) as session:
        before = await services.profiles.read_to_change(session, caller.tenant_id)
        former = before.overrides.get(profile_id)
        _check_seen(former, if_match)
        try:
            override = await override_service.put_override(
                session,
                services.profiles,
                before,
                tenant_id=caller.tenant_id,
                profile_id=profile_id,
                patch=body.root,
                actor=actor,
            )
        except InvalidProfilesError as error:
            raise invalid_profile(error, about=profile_id) from error
    return JSONResponse(
        OverrideModel.of(override).model_dump(mode="json"),
        status_code=201 if former is None else 200,
        headers={"ETag": _etag(override)},
    )


@router.delete(
    "/{profile_id}/override",
    operation_id="deleteProfileOverride",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, *_CHANGE, OverrideNotFoundProblem),
)
async def delete_override(
    profile_id: ProfileId,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
    if_match: IfMatch = None,
) -> None:
    """Return to the shipped profile, or delete one of your own. The history is kept."""
    async with services.database.session(caller.tenant_id) as session:
        before = await services.profiles.read_to_change(session, caller.tenant_id)
        former = before.overrides.get(profile_id)
        if former is None:
            raise OverrideNotFoundProblem
        _check_seen(former, if_match)
        try:
            await override_service.delete_override(
                session,
                services.profiles,
                before,
                tenant_id=caller.tenant_id,
                profile_id=profile_id,
                actor=actor,
            )
        except InvalidProfilesError as error:
            raise invalid_profile(error, about=profile_id) from error


def _etag(override: ProfileOverride) -> str:
    return f'"{override.revision}"'


def _check_seen(override: ProfileOverride | None, if_match: str | None) -> None:
    """Check that the client knows the current revision (RFC 9110, 13.1.1)."""
    if override is None:
        if if_match is not None:
            raise PreconditionFailedProblem
    elif if_match is None:
        raise PreconditionRequiredProblem
    elif if_match not in {"*", _etag(override)}:
        raise PreconditionFailedProblem
