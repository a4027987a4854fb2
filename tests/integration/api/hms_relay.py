"""One round of the relay, beside a Temporal that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.hms import InboundActivities
from app.services.hms_events import InboundDelivery
from app.services.profiles import TenantProfileStore
from app.services.streams import StreamCreation, StreamStarter
from domain.hms.messages import RelayInput, RelayReport
from domain.tenants.usage import PlanName
from infra.connection_secrets import ConnectionSecrets
from infra.db.engine import Database
from infra.hms_api import HmsApi
from infra.profiles.store import ProfileStore
from infra.settings import Settings
from infra.ssrf import UrlGuard

Relay = Callable[[], Awaitable[RelayReport]]


def relay_to(temporal: Client, database: Database, settings: Settings) -> Relay:
    async def client() -> Client:
        return temporal

    delivery = InboundDelivery(
        database=database,
        starter=StreamStarter(client, limits=settings.ingest_limits()),
        creation=StreamCreation(
            TenantProfileStore(ProfileStore()), default_plan=PlanName.ENTERPRISE
        ),
        guard=UrlGuard(),
    )
    api = HmsApi("http://100ms.invalid")
    activities = InboundActivities(
        database=database, delivery=delivery, secrets=ConnectionSecrets(b"s" * 32), api=api
    )

    async def run() -> RelayReport:
        found = await ActivityEnvironment().run(activities.relay_inbound, RelayInput(min_age=0))
        assert isinstance(found, RelayReport)
        return found

    return run
