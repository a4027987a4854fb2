"""Routes of a tenant's publication policy, and of the review of highlights."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field

from api.auth import Administrator, AuditActor, Caller, Reader, Writer
from api.errors.problems import HighlightNotFoundProblem, ReviewClosedProblem
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.highlights.schemas import ReviewModel
from api.middleware.json_content import require_json
from api.request_model import RequestModel
from api.services import Services, ServicesDependency
from app.services import highlights as highlight_service
from app.services.tenants import change_policy
from domain.highlights.publication import (
    PolicyRequest,
    PublicationPolicy,
    ReviewClosedError,
    ReviewStatus,
)
from domain.tenants.audit import Actor
from domain.text import Name, Title
from infra.db.errors import RecordMissingError
from infra.db.repositories.publication import policies

router = APIRouter(prefix="/v1", tags=["highlights"])

_POLICY: Final[dict[str, Any]] = {
    "review": "required",
    "review_hours": 24,
    "audience": ["members"],
    "territories": {"allow": ["GB", "US"], "deny": ["US-NJ"]},
    "valid_until": "2026-08-01T00:00:00Z",
    "commercial": False,
}
_REVIEWED: Final = documented(*WITH_KEY, *WITH_BODY, HighlightNotFoundProblem, ReviewClosedProblem)


class TenantPolicyRequest(RequestModel, PolicyRequest):
    """What may be shown of highlights, unless a stream or its connection says otherwise."""

    model_config = ConfigDict(json_schema_extra={"examples": [_POLICY]})


class ReviewRequest(RequestModel):
    """Who reviews a highlight, and a note for the audit log."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user": "editor-7"}]})

    user: Name | None = Field(
        default=None, description="Your id or name of the user; defaults to the API key."
    )
    note: Title = ""


@router.get("/policy", operation_id="getPolicy", responses=documented(*WITH_KEY))
async def get_policy(caller: Reader, services: ServicesDependency) -> PublicationPolicy:
    """Read your publication policy; it states nothing if you set none."""
    async with services.database.session(caller.tenant_id) as session:
        found = await policies.of_tenant(session, tenant_id=caller.tenant_id)
    return found or PublicationPolicy()


@router.put(
    "/policy",
    operation_id="putPolicy",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY),
)
async def put_policy(
    body: TenantPolicyRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
) -> PublicationPolicy:
    """Replace your publication policy.

    Streams that are created from now on inherit what they and their connection leave out. Streams
    that exist keep their policy.
    """
    policy = PublicationPolicy.model_validate(body.stated())
    async with services.database.session(caller.tenant_id) as session:
        await change_policy(session, tenant_id=caller.tenant_id, policy=policy, actor=actor)
    return policy


@router.post(
    "/highlights/{highlight_id}/approve",
    operation_id="approveHighlight",
    dependencies=[Depends(require_json)],
    responses=_REVIEWED,
)
async def approve_highlight(
    highlight_id: UUID,
    body: ReviewRequest,
    caller: Writer,
    actor: AuditActor,
    services: ServicesDependency,
) -> ReviewModel:
    """Release a highlight that awaits review: its webhooks are sent, and its clips have links.

    Approving it again changes nothing.
    """
    return await _reviewed(
        services,
        caller,
        actor,
        highlight_id=highlight_id,
        body=body,
        status=ReviewStatus.APPROVED,
    )


@router.post(
    "/highlights/{highlight_id}/reject",
    operation_id="rejectHighlight",
    dependencies=[Depends(require_json)],
    responses=_REVIEWED,
)
async def reject_highlight(
    highlight_id: UUID,
    body: ReviewRequest,
    caller: Writer,
    actor: AuditActor,
    services: ServicesDependency,
) -> ReviewModel:
    """Retract a highlight for good, whether it awaits review or was approved.

    Its clips can no longer be played or exported. If it was approved, `highlight.retracted` is
    sent.
    """
    return await _reviewed(
        services,
        caller,
        actor,
        highlight_id=highlight_id,
        body=body,
        status=ReviewStatus.REJECTED,
    )


async def _reviewed(
    services: Services,
    caller: Caller,
    actor: Actor,
    *,
    highlight_id: UUID,
    body: ReviewRequest,
    status: ReviewStatus,
) -> ReviewModel:
    try:
        async with services.database.session(caller.tenant_id) as session:
            row = await highlight_service.review_highlight(
                session,
                tenant_id=caller.tenant_id,
                highlight_id=highlight_id,
                status=status,
                author=body.user or f"key:{caller.key_id}",
                note=body.note,
                actor=actor,
            )
    except RecordMissingError:
        raise HighlightNotFoundProblem from None
    except ReviewClosedError as error:
        raise ReviewClosedProblem(str(error)) from None
    await services.dispatcher.try_dispatch(caller.tenant_id)
    answer = ReviewModel.of(row)
    assert answer is not None  # noqa: S101 - it was reviewed
    return answer
