"""Webhooks from the outbox to a receiver: real PostgreSQL, Temporal and HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import text
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.webhooks import WebhookActivities
from app.services.webhooks import WebhookDispatcher
from app.worker import workflow_runner
from domain import task_queues
from domain.hms.messages import RelayInput, RelayReport
from domain.webhooks.delivery import DeliveryTiming
from domain.webhooks.events import Event
from infra.db.engine import Database
from infra.db.repositories import deliveries, endpoints, events
from infra.db.repositories.deliveries import DeliveryFilter
from infra.db.tables import Delivery, WebhookEndpoint
from infra.ssrf import UrlGuard
from infra.storage.signed_urls import ClipLinks, UrlSigner
from infra.webhooks.sender import EndpointSecrets, WebhookSender
from tests.factories.rows import SIGNING_SECRET, new_endpoint
from tests.fakes.webhook_receiver import SECRET
from workflows.delivery import DeliveryWorkflow
from workflows.relay import RelayWorkflow

QUICK = DeliveryTiming(offsets=(0.0, 0.02, 0.04), jitter=0.0, retry_interval=0.05)
PATIENT = DeliveryTiming(offsets=(0.0, 3600.0), jitter=0.0, retry_interval=0.05)


@activity.defn(name="relay_inbound")
async def relay_nothing_inbound(_request: RelayInput) -> RelayReport:
    return RelayReport()


@dataclass(frozen=True)
class Post:
    """A tenant with everything that sends its events."""

    tenant_id: UUID
    database: Database
    dispatcher: WebhookDispatcher
    activities: WebhookActivities

    async def endpoint(self, url: str, *event_types: str) -> UUID:
        """Subscribe a URL."""
        return await new_endpoint(
            self.database, self.tenant_id, url=url, event_types=event_types, secret=SECRET
        )

    async def commit(self, *told: Event) -> None:
        """Write events, and die before anything is done about them."""
        async with self.database.session(self.tenant_id) as session:
            for each in told:
                await events.append(session, each)

    async def tell(self, *told: Event) -> None:
        """Write events and send them."""
        await self.commit(*told)
        await self.dispatcher.dispatch(self.tenant_id)

    async def sent(self, endpoint: UUID) -> list[Delivery]:
        """Return the deliveries to an endpoint, oldest first."""
        async with self.database.session(self.tenant_id) as session:
            rows = await deliveries.list_page(
                session,
                tenant_id=self.tenant_id,
                criteria=DeliveryFilter(endpoint_id=endpoint),
                limit=100,
            )
        return rows[::-1]

    async def state(self, endpoint: UUID) -> WebhookEndpoint:
        """Read an endpoint."""
        async with self.database.session(self.tenant_id) as session:
            row = await endpoints.get(session, tenant_id=self.tenant_id, endpoint_id=endpoint)
        assert row is not None
        return row


@pytest.fixture
async def empty_outbox(database: Database) -> None:
    """Drop what earlier tests left unsent: a pass of the relay would start a workflow for each."""
    for tenant_id in await database.tenants_to_send_for():
        async with database.session(tenant_id) as session:
            await session.execute(text("DELETE FROM deliveries"))
            await session.execute(text("UPDATE events SET dispatched_at = now()"))


MakePost = Callable[..., AbstractAsyncContextManager[Post]]


@pytest.fixture
def open_post(
    database: Database, temporal_client: Client, tenant: UUID, empty_outbox: None
) -> MakePost:
    """What sends a tenant's events, its workers running until the block ends."""

    async def connect() -> Client:
        return temporal_client

    @asynccontextmanager
    async def opened(
        *,
        timing: DeliveryTiming = QUICK,
        slots: int = 20,
        endpoint_concurrency: int = 4,
        busy_delay: float = 0.02,
        allow_private: bool = True,
    ) -> AsyncIterator[Post]:
        dispatcher = WebhookDispatcher(database, connect, timing=timing)
        guard = UrlGuard(allow_private=allow_private)
        async with WebhookSender(guard, timeout=30.0, max_connections=50) as sender:
            activities = WebhookActivities(
                database=database,
                sender=sender,
                secrets=EndpointSecrets(SIGNING_SECRET),
                links=ClipLinks(
                    UrlSigner(SIGNING_SECRET), base_url="https://api.test", lifetime=3600.0
                ),
                dispatcher=dispatcher,
                endpoint_concurrency=endpoint_concurrency,
                busy_delay=busy_delay,
            )
            async with (
                Worker(
                    temporal_client,
                    task_queue=task_queues.ORCHESTRATION,
                    workflows=[DeliveryWorkflow, RelayWorkflow],
                    workflow_runner=workflow_runner(),
                ),
                Worker(
                    temporal_client,
                    task_queue=task_queues.IO,
                    activities=[activities.relay_events, relay_nothing_inbound],
                ),
                Worker(
                    temporal_client,
                    task_queue=task_queues.DELIVER,
                    activities=[activities.deliver],
                    max_concurrent_activities=slots,
                ),
            ):
                yield Post(tenant, database, dispatcher, activities)

    return opened


@pytest.fixture
async def post(open_post: MakePost) -> AsyncIterator[Post]:
    """The same, with retries within milliseconds."""
    async with open_post() as opened:
        yield opened
