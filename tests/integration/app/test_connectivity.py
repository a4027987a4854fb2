"""`highlights doctor --remote` against real servers, with each thing broken in turn."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from app import doctor
from app.cli import main
from app.connectivity import examine_remote
from app.dev.postgres import DatabaseUrls, PostgresServer
from app.doctor import Finding
from domain import task_queues
from infra.db.engine import asyncpg_url
from infra.db.migration import migrate
from infra.settings import Settings
from tests.conftest import run_apart
from tests.fakes import rabbitmq
from tests.fakes.gemini import KEY, FakeGemini
from tests.fakes.hms_api import FakeHmsApi
from tests.fakes.redis_server import RedisServer
from tests.fakes.s3_server import S3Server

pytestmark = pytest.mark.timeout(180)

CLOSED = "127.0.0.1:1"
SUPERUSER = "postgres"


@activity.defn(name="nothing")
async def nothing() -> None: ...


@workflow.defn(name="Nothing", sandboxed=False)
class NothingWorkflow:
    @workflow.run
    async def run(self) -> None: ...


@dataclass
class World:
    """Settings under which everything works, and what a test needs to break one thing."""

    settings: dict[str, Any]
    server: PostgresServer
    s3: S3Server
    client: Client
    monkeypatch: pytest.MonkeyPatch
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def findings(self, **changes: Any) -> dict[str, Finding]:  # noqa: ANN401 -- any setting
        settings = Settings.model_validate(self.settings | changes)
        return {each.component: each for each in await examine_remote(settings)}


@pytest.fixture
def addresses(
    postgres: DatabaseUrls,
    s3_bucket: str,
    broker: rabbitmq.Broker,
    redis_server: RedisServer,
    servers: tuple[FakeGemini, FakeHmsApi],
) -> dict[str, Any]:
    """Settings that name all servers but Temporal."""
    gemini, hms = servers
    return {
        "database_url": postgres.application,
        "database_owner_url": postgres.owner,
        "segment_store": f"s3://{s3_bucket}/segments",
        "clip_store": f"s3://{s3_bucket}/clips",
        "amqp_url": broker.url,
        "redis_url": redis_server.url,
        "temporal_keys": f"k1:{'k' * 32}",
        "gemini_api_key": KEY,
        "gemini_base_url": gemini.url,
        "hms_api_url": hms.url,
    }


@pytest.fixture
async def world(
    addresses: dict[str, Any],
    postgres_server: PostgresServer,
    s3_server: S3Server,
    temporal_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    monkeypatch.setattr(doctor, "_GEMINI_TIMEOUT", 60.0)
    addresses["temporal_address"] = temporal_client.service_client.config.target_host
    world = World(addresses, postgres_server, s3_server, temporal_client, monkeypatch)
    async with world.stack:
        yield world


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[FakeGemini, FakeHmsApi]]:
    with FakeGemini() as gemini, FakeHmsApi() as hms:
        yield gemini, hms


@asynccontextmanager
async def polling(client: Client) -> AsyncIterator[None]:
    """Workers on all task queues, until the server has seen them."""
    async with AsyncExitStack() as stack:
        for queue in task_queues.ALL:
            worker = Worker(
                client,
                task_queue=queue,
                activities=[nothing],
                workflows=[NothingWorkflow],
                workflow_runner=UnsandboxedWorkflowRunner(),
            )
            await stack.enter_async_context(worker)
        yield


async def all_polled(world: World) -> dict[str, Finding]:
    """Return the findings once the server lists the pollers; it does so a moment later."""
    deadline = time.monotonic() + 60
    while True:
        found = await world.findings()
        polled = [found[f"Temporal: {queue}"].state == "ok" for queue in task_queues.ALL]
        if all(polled) or time.monotonic() > deadline:
            return found


async def test_whatever_works_is_found_to_work_and_nothing_is_left(world: World) -> None:
    async with polling(world.client):
        found = await all_polled(world)
    assert {name: each for name, each in found.items() if each.state != "ok"} == {}
    assert set(found) == {
        *("Database: TLS", "Database: role", "Database: row security", "Database: schema"),
        *("S3: segments", "S3: clips", "RabbitMQ", "Redis", "Gemini", "100ms", "Clock"),
        *("Temporal", "Temporal: encryption", "Temporal: search attributes"),
        *(f"Temporal: {queue}" for queue in task_queues.ALL),
    }
    bucket = world.settings["clip_store"].split("/")[2]
    assert world.s3.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0


async def altered(world: World, *statements: str) -> dict[str, Any]:
    """Return the settings of a new, migrated database that its owner has altered."""
    urls = await asyncio.to_thread(run_apart, world.server.prepare(f"test_{uuid4().hex}"))
    await migrate(urls.owner)
    engine = create_async_engine(asyncpg_url(urls.owner))
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()
    return {"database_url": urls.application}


async def away(_world: World) -> dict[str, Any]:
    return {"database_url": f"postgresql://u:hush@{CLOSED}/d"}


async def owning(world: World) -> dict[str, Any]:
    return {"database_url": world.settings["database_owner_url"]}


async def superuser(world: World) -> dict[str, Any]:
    url = asyncpg_url(world.settings["database_url"]).set(username=SUPERUSER)
    return {"database_url": url.render_as_string(hide_password=False)}


async def bypassing(world: World) -> dict[str, Any]:
    url = asyncpg_url(world.settings["database_url"])
    role = f"bypass_{uuid4().hex}"
    engine = create_async_engine(url.set(username=SUPERUSER))
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE ROLE {role} LOGIN BYPASSRLS IN ROLE {url.username}"))
    await engine.dispose()
    return {"database_url": url.set(username=role).render_as_string(hide_password=False)}


async def unforced(world: World) -> dict[str, Any]:
    return await altered(world, "ALTER TABLE clips NO FORCE ROW LEVEL SECURITY")


async def outdated(world: World) -> dict[str, Any]:
    return await altered(world, "ALTER TABLE streams DROP COLUMN notice")


async def in_plain_text(world: World) -> dict[str, Any]:
    """The server's socket by way of TCP, at an address that does not say it is this machine's."""
    url = asyncpg_url(world.settings["database_url"])
    path = f"{url.query['host']}/.s.PGSQL.{url.port or 5432}"

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(path)
        await asyncio.gather(pump(reader, to_server), pump(from_server, writer))

    server = await world.stack.enter_async_context(await asyncio.start_server(relay, "127.0.0.1"))
    port = server.sockets[0].getsockname()[1]
    return {"database_url": f"postgresql://{url.username}@127.1:{port}/{url.database}"}


async def no_bucket(_world: World) -> dict[str, Any]:
    return {"clip_store": "s3://no-such-bucket-7f3a/clips"}


async def no_rights(world: World) -> dict[str, Any]:
    for name, value in world.s3.environment("stranger").items():
        world.monkeypatch.setenv(name, value)
    return {}


async def no_broker(_world: World) -> dict[str, Any]:
    return {"amqp_url": f"amqp://guest:hush-hush@{CLOSED}/"}


async def wrong_password(world: World) -> dict[str, Any]:
    return {"amqp_url": world.settings["amqp_url"].replace("guest@", "hush-hush@")}


async def no_redis(_world: World) -> dict[str, Any]:
    return {"redis_url": f"redis://:hush-hush@{CLOSED}"}


async def no_temporal(_world: World) -> dict[str, Any]:
    return {"temporal_address": CLOSED}


async def no_namespace(_world: World) -> dict[str, Any]:
    return {"temporal_namespace": "missing"}


async def new_namespace(world: World) -> dict[str, Any]:
    name = f"new-{uuid4().hex}"
    await world.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name, workflow_execution_retention_period=Duration(seconds=86_400)
        )
    )
    return {"temporal_namespace": name}


async def wrong_key(_world: World) -> dict[str, Any]:
    return {"gemini_api_key": "AIza-hush-hush"}


async def no_hms(_world: World) -> dict[str, Any]:
    return {"hms_api_url": f"http://{CLOSED}"}


async def wrong_clock(world: World) -> dict[str, Any]:
    """100ms, with a clock that is an hour ahead."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = email.utils.format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        writer.write(f"HTTP/1.1 401 No\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await world.stack.enter_async_context(await asyncio.start_server(answer, "127.0.0.1"))
    return {"hms_api_url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}


Break = Callable[[World], Awaitable[dict[str, Any]]]
BROKEN: list[tuple[Break, str, str, str]] = [
    (away, "Database", "missing", "check DATABASE_URL"),
    (owning, "Database: role", "missing", "owns"),
    (superuser, "Database: role", "missing", "is a superuser"),
    (bypassing, "Database: role", "missing", "has BYPASSRLS"),
    (unforced, "Database: row security", "missing", "no forced policy on clips"),
    (outdated, "Database: schema", "missing", "column streams.notice"),
    (in_plain_text, "Database: TLS", "missing", "sslmode=verify-full"),
    (no_bucket, "S3: clips", "missing", "no-such-bucket-7f3a"),
    (no_rights, "S3: segments", "missing", "s3:PutObject"),
    (no_broker, "RabbitMQ", "missing", "check AMQP_URL"),
    (wrong_password, "RabbitMQ", "missing", "check AMQP_URL"),
    (no_redis, "Redis", "missing", "check REDIS_URL"),
    (no_temporal, "Temporal", "missing", "TEMPORAL_ADDRESS"),
    (no_namespace, "Temporal", "missing", "check TEMPORAL_NAMESPACE"),
    (new_namespace, "Temporal: search attributes", "missing", "--name TenantId --type Keyword"),
    (new_namespace, "Temporal: highlights-render", "missing", "no worker polls it"),
    (wrong_key, "Gemini", "missing", "Check GEMINI_API_KEY"),
    (no_hms, "100ms", "optional", "cannot be reached"),
    (wrong_clock, "Clock", "missing", "NTP"),
]


@pytest.mark.parametrize(
    ("break_", "component", "state", "advice"),
    BROKEN,
    ids=[f"{each.__name__}-{component}" for each, component, *_ in BROKEN],
)
async def test_what_is_broken_is_found_with_what_to_do(
    world: World, break_: Break, component: str, state: str, advice: str
) -> None:
    found = await world.findings(**await break_(world))
    assert found[component].state == state
    assert advice in found[component].advice
    assert "hush" not in str(found)


def test_the_exit_code_and_the_json_are_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:p@{CLOSED}/d")
    monkeypatch.setenv("TEMPORAL_ADDRESS", CLOSED)
    monkeypatch.setenv("HIGHLIGHTS_HMS_API_URL", f"http://{CLOSED}")
    monkeypatch.setattr("sys.argv", ["highlights", "doctor", "--remote", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    states = {each["component"]: each["state"] for each in json.loads(capsys.readouterr().out)}
    assert states["Database"] == states["Temporal"] == "missing"
    assert states["S3: clips"] == states["RabbitMQ"] == states["Redis"] == "optional"
