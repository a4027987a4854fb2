"""Activities that deliver webhook events and relay the outbox."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.heartbeat import heartbeating
from activities.interfaces import Webhooks
from activities.tenant_turns import for_each_tenant
from app.services.webhooks import WebhookDispatcher
from domain.webhooks.delivery import (
    AttemptOutcome,
    AttemptRequest,
    OutboxRelayPass,
    PostponedAttempt,
)
from infra.db.engine import Database
from infra.db.repositories import deliveries
from infra.db.repositories.deliveries import Attempt, PendingDelivery
from infra.encryption import SecretDecryptionError
from infra.storage.signed_urls import ClipLinks
from infra.telemetry.metrics import DELIVERY_ATTEMPTS, DELIVERY_LAG, seconds_since
from infra.telemetry.traces import moment_span
from infra.webhooks.sender import (
    EndpointSecrets,
    WebhookResponse,
    WebhookSender,
    headers,
    message_of,
)

_BUSY_DELAY: Final = 0.5
_LONGEST_BUSY_DELAY: Final = 20.0


class WebhookActivities(Webhooks):
    """Sends events to tenants' endpoints.

    Args:
        database: holds the outbox and the deliveries.
        sender: makes the requests.
        secrets: decrypts the endpoints' secrets.
        links: signs links to clips.
        dispatcher: signals DeliveryWorkflow.
        endpoint_concurrency: concurrent requests per endpoint. Further attempts release their slot
            and retry later, so that a slow endpoint never occupies all slots.
        busy_delay: seconds until such a retry; doubles each time.
    """

    def __init__(
        self,
        *,
        database: Database,
        sender: WebhookSender,
        secrets: EndpointSecrets,
        links: ClipLinks,
        dispatcher: WebhookDispatcher,
        endpoint_concurrency: int,
        busy_delay: float = _BUSY_DELAY,
    ) -> None:
        self._database = database
        self._sender = sender
        self._secrets = secrets
        self._links = links
        self._dispatcher = dispatcher
        self._endpoint_concurrency = endpoint_concurrency
        self._busy_delay = busy_delay
        self._under_way: Counter[object] = Counter()

    @activity.defn(name="deliver")
    async def deliver(self, request: AttemptRequest) -> AttemptOutcome | PostponedAttempt:
        endpoint = request.endpoint_id
        if self._under_way[endpoint] >= self._endpoint_concurrency:
            raise ApplicationError(
                "enough requests to this endpoint are under way",
                type="endpoint_busy",
                next_retry_delay=self._delay(activity.info().attempt),
                category=ApplicationErrorCategory.BENIGN,
            )
        self._under_way[endpoint] += 1
        try:
            async with heartbeating():
                return await self._deliver(request)
        finally:
            self._under_way[endpoint] -= 1
            if not self._under_way[endpoint]:
                del self._under_way[endpoint]

    @activity.defn(name="relay_events")
    async def relay_events(self) -> OutboxRelayPass:
        tenants = await self._database.tenants_to_send_for()
        async with heartbeating():
            await for_each_tenant(tenants, self._dispatcher.dispatch)
        return OutboxRelayPass(tenants=len(tenants))

    def _delay(self, attempt: int) -> timedelta:
        """Return how long to wait before the retry, with jitter."""
        longest = min(_LONGEST_BUSY_DELAY, self._busy_delay * 2 ** min(attempt - 1, 10))
        return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311

    async def _deliver(self, request: AttemptRequest) -> AttemptOutcome | PostponedAttempt:
        now = datetime.now(UTC)
        async with self._database.session(request.tenant_id) as session:
            pending = await deliveries.claim(
                session, tenant_id=request.tenant_id, delivery_id=request.delivery_id, now=now
            )
        if pending is None:
            return AttemptOutcome.DROPPED
        event = pending.event
        highlight = event.data.get("highlight_id")
        moment = None if highlight is None else UUID(str(highlight))
        with moment_span(moment, f"deliver {event.type.value}", event_id=str(event.id)):
            answer = await self._send(request, pending, now)
        DELIVERY_ATTEMPTS.labels("succeeded" if answer.succeeded else "failed").inc()
        if answer.succeeded:
            DELIVERY_LAG.observe(seconds_since(event.created_at))
        next_attempt_at = request.next_attempt_at
        retry_at = None
        if answer.retry_after is not None:
            retry_at = datetime.now(UTC) + timedelta(seconds=answer.retry_after)
            next_attempt_at = next_attempt_at and max(next_attempt_at, retry_at)
        async with self._database.session(request.tenant_id) as session:
            recorded = await deliveries.record_attempt(
                session,
                Attempt(
                    at=now,
                    duration=answer.duration,
                    succeeded=answer.succeeded,
                    gone=answer.gone,
                    status_code=answer.status_code,
                    error=answer.error,
                    response=answer.excerpt,
                ),
                tenant_id=request.tenant_id,
                delivery_id=request.delivery_id,
                next_attempt_at=next_attempt_at,
            )
        if recorded.disabled:
            activity.logger.warning(
                "webhook endpoint disabled", extra={"endpoint_id": str(request.endpoint_id)}
            )
            await self._dispatcher.try_dispatch(request.tenant_id)
        if recorded.recovered:
            await self._release_waiting(request)
        if answer.succeeded:
            return AttemptOutcome.SUCCEEDED
        if retry_at is not None:
            return PostponedAttempt(retry_at=retry_at)
        return AttemptOutcome.DROPPED if answer.gone else AttemptOutcome.FAILED

    async def _release_waiting(self, request: AttemptRequest) -> None:
        """Attempt the endpoint's waiting deliveries now, since it has recovered."""
        async with self._database.session(request.tenant_id) as session:
            released = await deliveries.release_waiting(
                session, tenant_id=request.tenant_id, endpoint_id=request.endpoint_id
            )
        if released:
            await self._dispatcher.try_dispatch(request.tenant_id, at_once=released)

    async def _send(
        self, request: AttemptRequest, pending: PendingDelivery, now: datetime
    ) -> WebhookResponse:
        try:
            secrets = [
                self._secrets.decrypt(
                    sealed, tenant_id=request.tenant_id, endpoint_id=request.endpoint_id
                )
                for sealed in pending.secrets
            ]
        except SecretDecryptionError:
            activity.logger.exception("a webhook secret cannot be opened")
            return WebhookResponse(
                duration=0.0, error="the endpoint's secret cannot be read; rotate it"
            )
        body = message_of(pending.event, self._links)
        signed = headers(body, message_id=pending.event.id, timestamp=now, secrets=secrets)
        return await self._sender.send(pending.url, body, signed)
