"""Routes of webhook deliveries: their history, redelivery, tests and replays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller, WebhookManager
from api.errors.problems import (
    DeliveryNotFoundProblem,
    EndpointDisabledProblem,
    EndpointNotFoundProblem,
    FieldProblem,
    InvalidCursorProblem,
    InvalidRequestProblem,
    Problem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.middleware.json_content import require_json
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.services import Services, ServicesDependency
from api.webhooks.schemas import DeliveryDetail, DeliveryModel, ReplayRequest, ReplayResult
from app.services.webhook_deliveries import (
    MAX_REPLAY,
    EndpointDisabledError,
    WebhookDeliveryService,
)
from domain.tenants.keys import Scope, permits
from domain.webhooks.events import DeliveryStatus, EventType
from infra.db.errors import RecordMissingError
from infra.db.repositories import deliveries, endpoints, events
from infra.db.repositories.deliveries import DeliveryFilter, TooManyEventsError

_NEWEST: Final = "-created_at"
router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.get(
    "/deliveries",
    operation_id="listDeliveries",
    responses=documented(*WITH_KEY, InvalidCursorProblem),
)
async def list_deliveries(
    *,
    caller: WebhookManager,
    services: ServicesDependency,
    endpoint_id: UUID | None = None,
    status: DeliveryStatus | None = None,
    event_type: EventType | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryModel]:
    """List deliveries to all endpoints, newest first."""
    criteria = DeliveryFilter(endpoint_id=endpoint_id, status=status, event_type=event_type)
    return await _page(services, caller, criteria, limit=limit, cursor=cursor)


@router.get(
    "/deliveries/{delivery_id}",
    operation_id="getDelivery",
    responses=documented(*WITH_KEY, DeliveryNotFoundProblem),
)
async def get_delivery(
    delivery_id: UUID, caller: WebhookManager, services: ServicesDependency
) -> DeliveryDetail:
    """Read a delivery: its payload, and the endpoint's response to each attempt.

    The payload is included only for keys that also have the scope `read`.
    """
    tenant = caller.tenant_id
    async with services.database.session(tenant) as session:
        row = await deliveries.get(session, tenant_id=tenant, delivery_id=delivery_id)
        if row is None:
            raise DeliveryNotFoundProblem
        about = await events.get(session, tenant_id=tenant, event_id=row.event_id)
        attempts = await deliveries.attempts(session, tenant_id=tenant, delivery_id=delivery_id)
    data = None
    if permits(caller.scopes, Scope.READ):
        data = about.data if about else {}
    return DeliveryDetail.with_history(row, data, list(attempts))


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    operation_id="redeliver",
    status_code=202,
    responses=documented(*WITH_KEY, DeliveryNotFoundProblem, EndpointDisabledProblem),
)
async def redeliver(
    delivery_id: UUID, caller: WebhookManager, services: ServicesDependency
) -> DeliveryModel:
    """Send an event to its endpoint again, or now if an attempt is scheduled.

    It has the same `webhook-id` as before.
    """
    with _refusals_as_problems(DeliveryNotFoundProblem):
        row = await _service(services).redeliver(caller.tenant_id, delivery_id)
    return DeliveryModel.of(row)


@router.get(
    "/{endpoint_id}/deliveries",
    operation_id="listWebhookDeliveries",
    responses=documented(*WITH_KEY, InvalidCursorProblem, EndpointNotFoundProblem),
)
async def list_endpoint_deliveries(
    *,
    endpoint_id: UUID,
    caller: WebhookManager,
    services: ServicesDependency,
    status: DeliveryStatus | None = None,
    event_type: EventType | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryModel]:
    """List deliveries to one endpoint, newest first."""
    async with services.database.session(caller.tenant_id) as session:
        await _require_endpoint(session, caller, endpoint_id)
    criteria = DeliveryFilter(endpoint_id=endpoint_id, status=status, event_type=event_type)
    return await _page(services, caller, criteria, limit=limit, cursor=cursor)


@router.post(
    "/{endpoint_id}/test",
    operation_id="testWebhook",
    status_code=202,
    responses=documented(*WITH_KEY, EndpointNotFoundProblem, EndpointDisabledProblem),
)
async def test_endpoint(
    endpoint_id: UUID, caller: WebhookManager, services: ServicesDependency
) -> DeliveryModel:
    """Send an `endpoint.test` event to an endpoint. Read the delivery for the result."""
    with _refusals_as_problems(EndpointNotFoundProblem):
        row = await _service(services).send_test(caller.tenant_id, endpoint_id)
    return DeliveryModel.of(row)


@router.post(
    "/{endpoint_id}/replay",
    operation_id="replayEvents",
    status_code=202,
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, EndpointNotFoundProblem, EndpointDisabledProblem),
)
async def replay_events(
    endpoint_id: UUID, body: ReplayRequest, caller: WebhookManager, services: ServicesDependency
) -> ReplayResult:
    """Send the events of a time range to an endpoint, again or for the first time.

    Deliveries that are under way are left alone. Events keep their `webhook-id`, so that a receiver
    can discard duplicates.
    """
    with _refusals_as_problems(EndpointNotFoundProblem):
        count = await _service(services).replay(
            caller.tenant_id,
            endpoint_id,
            since=body.since,
            until=body.until,
            types=[EventType(each) for each in body.types],
        )
    return ReplayResult(deliveries=count)


async def _page(
    services: Services, caller: Caller, criteria: DeliveryFilter, *, limit: int, cursor: str | None
) -> Page[DeliveryModel]:
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await deliveries.list_page(
            session,
            tenant_id=caller.tenant_id,
            criteria=criteria,
            after=after,
            limit=limit + 1,
        )
    return Page(
        data=[DeliveryModel.of(row) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


async def _require_endpoint(session: AsyncSession, caller: Caller, endpoint_id: UUID) -> None:
    if not await endpoints.get(session, tenant_id=caller.tenant_id, endpoint_id=endpoint_id):
        raise EndpointNotFoundProblem


def _service(services: Services) -> WebhookDeliveryService:
    return WebhookDeliveryService(services.database, services.dispatcher)


@contextmanager
def _refusals_as_problems(missing: type[Problem]) -> Iterator[None]:
    try:
        yield
    except RecordMissingError as error:
        # A delivery whose endpoint was deleted is gone too, or about to be.
        is_endpoint = error.kind == "webhook endpoint"
        raise (EndpointNotFoundProblem if is_endpoint else missing) from error
    except EndpointDisabledError as error:
        raise EndpointDisabledProblem from error
    except TooManyEventsError as error:
        detail = f"the range has more than {MAX_REPLAY} events: choose a shorter one"
        raise InvalidRequestProblem(errors=[FieldProblem(pointer="/to", detail=detail)]) from error
