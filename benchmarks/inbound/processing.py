"""The activities of inbound events, and passes of the relay, which a schedule starts elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.hms import InboundActivities
from app.services.hms_events import EventDispatcher, EventProcessor, EventWriter
from app.services.profiles import TenantProfileStore
from app.services.streams import StreamCreation, StreamStarter
from benchmarks.inbound.stage import SECRET, Stage
from domain.hms.messages import RelayInput
from domain.tenants.usage import PlanName
from infra.db.engine import Database
from infra.encryption import ConnectionSecrets
from infra.hms_api import HmsApi
from infra.profiles.store import ProfileStore
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.temporal.client import connect, connected

_WAITING: Final = "SELECT count(*) FROM inbound_events WHERE delivered_at IS NULL"
_PAUSE: Final = 2.0


@asynccontextmanager
async def reading(running: Stage) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection that sees the events of all tenants."""
    connection = await asyncpg.connect(running.superuser)
    try:
        yield connection
    finally:
        await connection.close()


async def waiting(connection: asyncpg.Connection) -> int:
    """Return how many events are not processed yet."""
    found: int = await connection.fetchval(_WAITING)
    return found


@asynccontextmanager
async def opened(
    client: Client, database_url: str, settings: Settings
) -> AsyncIterator[InboundActivities]:
    """The activities as the worker makes them."""
    database = Database(database_url)
    api = HmsApi(settings.hms_api_url)
    try:
        yield InboundActivities(
            database=database,
            writer=EventWriter(database),
            dispatcher=EventDispatcher(connected(client)),
            processor=EventProcessor(
                database=database,
                starter=StreamStarter(connected(client), limits=settings.ingest_limits()),
                creation=StreamCreation(
                    TenantProfileStore(ProfileStore()), default_plan=PlanName.ENTERPRISE
                ),
                guard=UrlGuard(),
            ),
            secrets=ConnectionSecrets(SECRET.encode()),
            api=api,
        )
    finally:
        await api.close()
        await database.close()


async def deliver_rest(running: Stage) -> None:
    """Relay until every event is processed by the worker."""
    client = await connect(Settings(temporal_address=running.temporal.address))
    async with (
        opened(client, running.urls.application, Settings()) as activities,
        reading(running) as connection,
    ):
        passed = _PAUSE
        while await waiting(connection):
            if passed >= _PAUSE:
                await ActivityEnvironment().run(activities.relay_inbound, RelayInput())
                passed = 0.0
            await asyncio.sleep(0.1)
            passed += 0.1
