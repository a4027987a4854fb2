"""The worker's part of inbound events: the workflow of sessions, and the activities behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.hms import InboundActivities
from app.services.hms_events import EventDispatcher, EventProcessor, EventWriter
from app.services.profiles import TenantProfileStore
from app.services.streams import StreamCreation, StreamStarter
from app.worker import workflow_runner
from domain import task_queues
from domain.hms.messages import RelayInput, RelayReport
from infra.db.engine import Database
from infra.encryption import ConnectionSecrets
from infra.hms_api import HmsApi
from infra.profiles.store import ProfileStore
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.temporal.client import connected
from tests.fakes.workflows import FakeBackfillWorkflow, FakeStreamWorkflow
from workflows.session import SessionWorkflow

Relay = Callable[[], Awaitable[RelayReport]]


def inbound_activities(
    temporal: Client,
    database: Database,
    settings: Settings,
    *,
    secrets: ConnectionSecrets | None = None,
    api: HmsApi | None = None,
) -> InboundActivities:
    """The activities as the worker makes them."""
    return InboundActivities(
        database=database,
        writer=EventWriter(database),
        dispatcher=EventDispatcher(connected(temporal)),
        processor=EventProcessor(
            database=database,
            starter=StreamStarter(connected(temporal), limits=settings.ingest_limits()),
            creation=StreamCreation(
                TenantProfileStore(ProfileStore()), default_plan=settings.default_plan
            ),
            guard=UrlGuard(allow_private=settings.allow_private_urls),
        ),
        secrets=secrets or ConnectionSecrets(b"s" * 32),
        api=api or HmsApi("http://100ms.invalid"),
    )


@asynccontextmanager
async def processing(temporal: Client, activities: InboundActivities) -> AsyncIterator[None]:
    """Workers that process sessions, and stream workflows that wait to be stopped."""
    async with (
        Worker(
            temporal,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[SessionWorkflow, FakeStreamWorkflow, FakeBackfillWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(
            temporal,
            task_queue=task_queues.IO,
            activities=[activities.process_session_events],
        ),
    ):
        yield


def relay_to(temporal: Client, database: Database, settings: Settings) -> Relay:
    """One pass of the relay, beside a Temporal that answers."""
    activities = inbound_activities(temporal, database, settings)

    async def run() -> RelayReport:
        found = await ActivityEnvironment().run(activities.relay_inbound, RelayInput(min_age=0))
        assert isinstance(found, RelayReport)
        return found

    return run
