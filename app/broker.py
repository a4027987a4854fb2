"""The worker's part with the platform's broker: events out, jobs in, beside everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client

from app.container import Doors
from app.services.jobs import AnalyzeJobs
from app.services.streams import StreamStarter, TenantNames
from infra.amqp import EventRelay, JobConsumer, stay_connected
from infra.settings import Settings
from infra.temporal.client import connected


@asynccontextmanager
async def broker_at_work(settings: Settings, doors: Doors, client: Client) -> AsyncIterator[None]:
    """Publish events and take jobs while the context lasts; without AMQP_URL do nothing.

    Whatever happens to the broker, the worker does not notice.
    """
    if settings.amqp_url is None:
        yield
        return
    url = settings.amqp_url.get_secret_value()
    tasks = [
        asyncio.create_task(stay_connected(url, _relay(settings, doors).run, name="events")),
        asyncio.create_task(stay_connected(url, _jobs(settings, doors, client).run, name="jobs")),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _relay(settings: Settings, doors: Doors) -> EventRelay:
    return EventRelay(
        doors.database,
        links=doors.clip_links,
        poll_interval=settings.amqp_poll_interval,
        publish_timeout=settings.amqp_publish_timeout,
    )


def _jobs(settings: Settings, doors: Doors, client: Client) -> JobConsumer:
    handler = AnalyzeJobs(
        database=doors.database,
        creation=doors.creation,
        starter=StreamStarter(
            connected(client), limits=settings.ingest_limits(), names=TenantNames(doors.database)
        ),
        guard=doors.guard,
    )
    return JobConsumer(handler, prefetch=settings.amqp_prefetch)
