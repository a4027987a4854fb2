"""A worker with AMQP_URL set tells the platform what happens, and does what it asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import UUID

import aio_pika
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import PublishError
from pydantic import SecretStr
from temporalio.client import Client

from app.container import Container
from app.dev.postgres import DatabaseUrls
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from app.worker import broker_tasks
from domain.ids import job_stream_id
from domain.streams.messages import StreamRecord
from domain.streams.status import StreamProgress, StreamStatus
from infra.amqp import consumer
from infra.amqp.relay import EXCHANGE
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.settings import Settings
from tests.factories.rows import new_stream
from tests.fakes.rabbitmq import Broker, eventually

AtWork = Callable[[str | None], AbstractAsyncContextManager[None]]


@pytest.fixture
def settings(postgres: DatabaseUrls, temporal_server: TemporalServer, tmp_path: Path) -> Settings:
    return Settings(
        temporal_address=temporal_server.address,
        database_url=SecretStr(postgres.application),
        clip_store=str(tmp_path / "clips"),
        segment_store=str(tmp_path / "segments"),
        signing_secret=SecretStr("s" * 32),
        amqp_poll_interval=0.02,
    )


@pytest.fixture
async def at_work(settings: Settings, temporal_client: Client) -> AtWork:
    """The broker's part of a worker, given the broker's address."""

    @asynccontextmanager
    async def given(url: str | None) -> AsyncIterator[None]:
        changed = settings.model_copy(update={"amqp_url": SecretStr(url) if url else None})
        async with Container(changed, client=temporal_client) as container, broker_tasks(container):
            yield

    return given


async def go_live(database: Database, tenant: UUID, stream_id: UUID) -> None:
    progress = StreamProgress(status=StreamStatus.LIVE, position=4.0, segments=2)
    record = StreamRecord(tenant_id=tenant, stream_id=stream_id, progress=progress)
    async with database.session(tenant) as session:
        await streams.record_stream(session, record)


async def test_the_platform_hears_of_a_stream_that_goes_live(
    database: Database,
    tenant: UUID,
    at_work: AtWork,
    broker: Broker,
    channel: AbstractChannel,
) -> None:
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, f"stream.*.{tenant}")
    stream_id = await new_stream(database, tenant)
    async with at_work(broker.url):
        await go_live(database, tenant, stream_id)
        async with queue.iterator() as messages:
            message = await anext(messages)
    assert message.type == "stream.started"
    assert json.loads(message.body)["data"]["stream_id"] == str(stream_id)


async def test_the_platform_can_ask_for_a_stream(
    database: Database,
    tenant: UUID,
    at_work: AtWork,
    broker: Broker,
    channel: AbstractChannel,
) -> None:
    exchange = await channel.declare_exchange(
        consumer.EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
    )
    job = {"job_id": "1", "tenant_id": str(tenant), "url": "https://cdn.example.com/a.m3u8"}

    async def asked() -> bool:
        try:
            await exchange.publish(Message(json.dumps(job).encode()), "stream.analyze.requested")
        except PublishError:  # the worker has not declared the queue yet
            return False
        return True

    async def started() -> bool:
        async with database.session(tenant) as session:
            stream_id = job_stream_id(tenant_id=tenant, job_id="1")
            return await streams.get(session, tenant_id=tenant, stream_id=stream_id) is not None

    async with at_work(broker.url):
        await eventually(asked)
        await eventually(started)


async def test_without_a_broker_the_worker_works_all_the_same(
    at_work: AtWork, database: Database
) -> None:
    (port,) = free_ports(1)
    for url in (None, f"amqp://127.0.0.1:{port}/"):
        async with at_work(url):
            await database.ping()
