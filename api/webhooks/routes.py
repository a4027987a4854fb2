"""Routes of webhook endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import AuditActor, Caller, WebhookManager
from api.errors.problems import (
    EndpointLimitProblem,
    EndpointNotFoundProblem,
    IdempotencyMismatchProblem,
    InvalidCursorProblem,
    RequestInProgressProblem,
    UrlForbiddenProblem,
)
from api.errors.reference import IDEMPOTENT, WITH_BODY, WITH_KEY, documented
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.services import Services, ServicesDependency
from api.webhooks.schemas import (
    EndpointModel,
    EndpointPatch,
    EndpointWithSecret,
    RotateRequest,
    SubscribeRequest,
)
from app.services import webhooks as webhook_service
from app.services.webhooks import (
    EndpointLimitError,
    change_endpoint,
    remove_endpoint,
    rotate_endpoint,
)
from infra.db.errors import RecordMissingError
from infra.db.repositories import endpoints
from infra.db.repositories.idempotency import StoredResponse
from infra.db.tables import WebhookEndpoint
from infra.ssrf import UrlForbiddenError
from infra.webhooks.sender import new_secret

_NEWEST: Final = "-created_at"
router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post(
    "/subscribe",
    operation_id="subscribeWebhook",
    status_code=201,
    response_model=EndpointWithSecret,
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        *WITH_BODY,
        RequestInProgressProblem,
        EndpointLimitProblem,
        UrlForbiddenProblem,
        IdempotencyMismatchProblem,
    ),
)
async def subscribe(
    body: SubscribeRequest,
    caller: WebhookManager,
    actor: AuditActor,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Subscribe a URL of yours to events from now on.

    The response contains the secret that you verify messages with, this once: a retry with the same
    `Idempotency-Key` has `secret` null. If you lose the response, rotate the secret.
    """
    _check(services, body.url)

    async def create(session: AsyncSession, endpoint_id: UUID) -> Created:
        limit = services.settings.webhook_endpoints
        try:
            row, secret = await webhook_service.subscribe(
                session,
                tenant_id=caller.tenant_id,
                endpoint_id=endpoint_id,
                url=body.url,
                description=body.description,
                event_types=sorted(set(body.event_types)),
                secrets=services.endpoint_secrets,
                limit=limit,
                actor=actor,
            )
        except EndpointLimitError as error:
            raise EndpointLimitProblem(
                f"You may have {limit} endpoints. {EndpointLimitProblem.advice}"
            ) from error
        return _shown_once(row, secret, status=201, Location=f"/v1/webhooks/{row.id}")

    once = IdempotentRequest(
        tenant_id=caller.tenant_id, key=idempotency_key, operation="subscribeWebhook", body=body
    )
    return await once.respond(services.database, create)


@router.get("", operation_id="listWebhooks", responses=documented(*WITH_KEY, InvalidCursorProblem))
async def list_endpoints(
    caller: WebhookManager,
    services: ServicesDependency,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[EndpointModel]:
    """List endpoints, newest first."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await endpoints.list_page(
            session, tenant_id=caller.tenant_id, after=after, limit=limit + 1
        )
    return Page(
        data=[EndpointModel.of(row) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


@router.get(
    "/{endpoint_id}",
    operation_id="getWebhook",
    responses=documented(*WITH_KEY, EndpointNotFoundProblem),
)
async def get_endpoint(
    endpoint_id: UUID, caller: WebhookManager, services: ServicesDependency
) -> EndpointModel:
    """Read an endpoint: its event types and its health."""
    async with services.database.session(caller.tenant_id) as session:
        return EndpointModel.of(await _find(session, caller, endpoint_id))


@router.patch(
    "/{endpoint_id}",
    operation_id="updateWebhook",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, EndpointNotFoundProblem, UrlForbiddenProblem),
)
async def update_endpoint(
    endpoint_id: UUID,
    body: EndpointPatch,
    caller: WebhookManager,
    actor: AuditActor,
    services: ServicesDependency,
) -> EndpointModel:
    """Change an endpoint, or disable and enable it.

    Pending deliveries use the new URL. Deliveries to a disabled endpoint are cancelled; replay them
    once it is enabled.
    """
    if body.url is not None:
        _check(services, body.url)
    values: dict[str, Any] = body.model_dump(exclude_none=True, exclude={"status"})
    if body.event_types is not None:
        values["event_types"] = sorted(set(body.event_types))
    with _missing_as_problem():
        async with services.database.session(caller.tenant_id) as session:
            row = await change_endpoint(
                session,
                endpoint_id,
                values,
                tenant_id=caller.tenant_id,
                actor=actor,
                status=body.status,
            )
    return EndpointModel.of(row)


@router.post(
    "/{endpoint_id}/rotate",
    operation_id="rotateWebhookSecret",
    response_model=EndpointWithSecret,
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        *WITH_BODY,
        EndpointNotFoundProblem,
        *IDEMPOTENT,
    ),
)
async def rotate_secret(
    *,
    endpoint_id: UUID,
    body: RotateRequest,
    caller: WebhookManager,
    actor: AuditActor,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Replace an endpoint's secret. The response contains the new one, this once.

    During the overlap, messages carry two signatures, so that they verify with either secret. Only
    two secrets are kept: rotating again ends the overlap of the first. A retry with the same
    `Idempotency-Key` rotates nothing and has `secret` null; if you lose the response, rotate again.
    """

    async def rotate(session: AsyncSession, _rotation_id: UUID) -> Created:
        secret = new_secret()
        row = await rotate_endpoint(
            session,
            endpoint_id,
            tenant_id=caller.tenant_id,
            secret=services.endpoint_secrets.encrypt(
                secret, tenant_id=caller.tenant_id, endpoint_id=endpoint_id
            ),
            overlap=timedelta(seconds=body.overlap),
            actor=actor,
        )
        return _shown_once(row, secret, status=200)

    once = IdempotentRequest(
        tenant_id=caller.tenant_id,
        key=idempotency_key,
        operation=f"rotateWebhookSecret/{endpoint_id}",
        body=body,
    )
    with _missing_as_problem():
        return await once.respond(services.database, rotate)


@router.delete(
    "/{endpoint_id}",
    operation_id="deleteWebhook",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, EndpointNotFoundProblem),
)
async def delete_endpoint(
    endpoint_id: UUID, caller: WebhookManager, actor: AuditActor, services: ServicesDependency
) -> None:
    """Delete an endpoint with all its deliveries. Nothing more is sent to it."""
    with _missing_as_problem():
        async with services.database.session(caller.tenant_id) as session:
            await remove_endpoint(session, endpoint_id, tenant_id=caller.tenant_id, actor=actor)


def _shown_once(row: WebhookEndpoint, secret: str, *, status: int, **headers: str) -> Created:
    document = EndpointModel.of(row).model_dump(mode="json")
    made = StoredResponse(status=status, headers=headers, body=document)
    return Created(response=_with(made, secret=secret), stored=_with(made, secret=None))


async def _find(session: AsyncSession, caller: Caller, endpoint_id: UUID) -> WebhookEndpoint:
    row = await endpoints.get(session, tenant_id=caller.tenant_id, endpoint_id=endpoint_id)
    if row is None:
        raise EndpointNotFoundProblem
    return row


@contextmanager
def _missing_as_problem() -> Iterator[None]:
    try:
        yield
    except RecordMissingError as error:
        raise EndpointNotFoundProblem from error


def _check(services: Services, url: str) -> None:
    """Reject a URL that is evidently not public; its address is checked at each request."""
    try:
        services.url_guard.check(url)
    except UrlForbiddenError as error:
        raise UrlForbiddenProblem(str(error)) from error


def _with(response: StoredResponse, *, secret: str | None) -> StoredResponse:
    return replace(response, body=response.body | {"secret": secret})
