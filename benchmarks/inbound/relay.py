"""The relay's rounds, which a Temporal Schedule starts elsewhere: no worker is here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.hms import InboundActivities
from app.services.hms_events import InboundDelivery
from app.services.profiles import TenantProfileStore
from app.services.streams import StreamCreation, StreamStarter
from benchmarks.inbound.stage import SECRET, Stage
from domain.hms.messages import RelayInput
from domain.tenants.usage import PlanName
from infra.connection_secrets import ConnectionSecrets
from infra.db.engine import Database
from infra.hms_api import HmsApi
from infra.profiles.store import ProfileStore
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.temporal.client import connect

_WAITING: Final = "SELECT count(*) FROM inbound_events WHERE delivered_at IS NULL"
_PAUSE: Final = 0.1


@asynccontextmanager
async def reading(running: Stage) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection that sees the events of all tenants."""
    connection = await asyncpg.connect(running.superuser)
    try:
        yield connection
    finally:
        await connection.close()


async def waiting(connection: asyncpg.Connection) -> int:
    """Return how many events wait to be delivered."""
    found: int = await connection.fetchval(_WAITING)
    return found


async def deliver_rest(running: Stage) -> None:
    """Run rounds until nothing waits; the server goes on with what it has begun."""
    client = await connect(Settings(temporal_address=running.temporal.address))

    async def connected() -> Client:
        return client

    settings = Settings()
    database = Database(running.urls.application)
    api = HmsApi(settings.hms_api_url)
    delivery = InboundDelivery(
        database=database,
        starter=StreamStarter(connected, limits=settings.ingest_limits()),
        creation=StreamCreation(
            TenantProfileStore(ProfileStore()), default_plan=PlanName.ENTERPRISE
        ),
        guard=UrlGuard(),
    )
    activities = InboundActivities(
        database=database,
        delivery=delivery,
        secrets=ConnectionSecrets(SECRET.encode()),
        api=api,
    )
    try:
        async with reading(running) as connection:
            while await waiting(connection):
                await ActivityEnvironment().run(activities.relay_inbound, RelayInput())
                await asyncio.sleep(_PAUSE)
    finally:
        await api.close()
        await database.close()
