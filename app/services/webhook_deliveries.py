"""Redelivery, test and replay of webhook deliveries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.services.webhooks import WebhookDispatcher
from domain.webhooks.events import EndpointPayload, EndpointStatus, EventType, event
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import deliveries, endpoints
from infra.db.tables import Delivery, WebhookEndpoint

MAX_REPLAY: Final = 10_000
"""Events of one replay at most."""

_SENT_AT_ONCE: Final = 100
"""Deliveries that a replay hands over itself; the relay takes more than these."""


class EndpointDisabledError(Exception):
    """The endpoint is disabled, so that nothing is sent to it."""


class WebhookDeliveryService:
    """Sends events to endpoints on request, once more or for the first time.

    Deliveries are committed first. If Temporal is unavailable then, the relay sends them later.

    Args:
        database: holds the deliveries.
        dispatcher: hands them to their workflows.
    """

    def __init__(self, database: Database, dispatcher: WebhookDispatcher) -> None:
        self._database = database
        self._dispatcher = dispatcher

    async def redeliver(self, tenant_id: UUID, delivery_id: UUID) -> Delivery:
        """Restart a delivery, whatever its status.

        Raises:
            RecordMissingError: the tenant has no such delivery.
            EndpointDisabledError: its endpoint is disabled.
        """
        async with self._database.session(tenant_id) as session:
            row = await deliveries.get(session, tenant_id=tenant_id, delivery_id=delivery_id)
            if row is None:
                raise RecordMissingError("delivery", delivery_id)
            await _lock_enabled(session, tenant_id, row.endpoint_id)
            row = await deliveries.redeliver(session, tenant_id=tenant_id, delivery_id=delivery_id)
            if row is None:
                raise RecordMissingError("delivery", delivery_id)
        await self._dispatch(tenant_id, at_once=[delivery_id])
        return row

    async def send_test(self, tenant_id: UUID, endpoint_id: UUID) -> Delivery:
        """Send an `endpoint.test` event to one endpoint.

        Raises:
            RecordMissingError: the tenant has no such endpoint.
            EndpointDisabledError: it is disabled.
        """
        async with self._database.session(tenant_id) as session:
            endpoint = await _lock_enabled(session, tenant_id, endpoint_id)
            sent = event(
                EventType.ENDPOINT_TEST,
                EndpointPayload(endpoint_id=endpoint.id, url=endpoint.url),
                tenant_id=tenant_id,
                # A unique subject, so that the test is not queued behind failed deliveries.
                subject=f"endpoint/{endpoint.id}/test/{uuid4()}",
                revision=1,
                created_at=datetime.now(UTC),
            )
            row = await deliveries.send_to_one(session, sent, endpoint_id=endpoint.id)
        await self._dispatch(tenant_id)
        return row

    async def replay(
        self,
        tenant_id: UUID,
        endpoint_id: UUID,
        *,
        since: datetime,
        until: datetime,
        types: Sequence[EventType],
    ) -> int:
        """Send the events of a time range to an endpoint; return how many.

        Deliveries that are under way are left alone.

        Args:
            tenant_id: the tenant.
            endpoint_id: the endpoint.
            since: time of the first event.
            until: end of the range, exclusive.
            types: event types; if empty, those that the endpoint subscribes to.

        Raises:
            RecordMissingError: the tenant has no such endpoint.
            EndpointDisabledError: it is disabled.
            TooManyEventsError: the range holds more than `MAX_REPLAY` events.
        """
        async with self._database.session(tenant_id) as session:
            count = await deliveries.replay(
                session,
                endpoint=await _lock_enabled(session, tenant_id, endpoint_id),
                since=since,
                until=until,
                types=types,
                limit=MAX_REPLAY,
            )
        if count <= _SENT_AT_ONCE:
            await self._dispatch(tenant_id)
        return count

    async def _dispatch(self, tenant_id: UUID, *, at_once: Collection[UUID] = ()) -> None:
        await self._dispatcher.try_dispatch(tenant_id, at_once=at_once)


async def _lock_enabled(
    session: AsyncSession, tenant_id: UUID, endpoint_id: UUID
) -> WebhookEndpoint:
    row = await endpoints.lock(session, tenant_id=tenant_id, endpoint_id=endpoint_id)
    if row is None:
        raise RecordMissingError("webhook endpoint", endpoint_id)
    if row.status == EndpointStatus.DISABLED:
        raise EndpointDisabledError
    return row
