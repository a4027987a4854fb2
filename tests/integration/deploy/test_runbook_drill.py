"""Each server stops in turn while a stream is played: its alert fires, and its runbook works.

API and worker are processes with their own PostgreSQL, Temporal, S3, RabbitMQ and Redis. The
commands of a runbook run as they are written. CI stops two of the servers; `make runbook-drill`
stops all five, and runs the commands of every page.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import httpx
import pytest

from app.dev import temporal as temporal_binary
from app.dev.postgres import PostgresServer
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from demo.origin import LiveOrigin, OriginOptions
from infra.child_process import ChildProcess
from infra.db.migration import migrate
from infra.media.ffmpeg import find_ffmpeg
from tests.conftest import run_apart, server_directory
from tests.fakes.rabbitmq import Broker, eventually
from tests.fakes.redis_server import RedisServer, find_redis
from tests.fakes.s3_server import S3Server, find_s3_server
from tests.integration.deploy.dockerfile import ROOT
from tests.integration.deploy.prometheus import Prometheus

ALL: Final = bool(os.environ.get("RUNBOOK_DRILL"))
RUNBOOKS: Final = sorted(
    page for page in (ROOT / "docs" / "runbooks").glob("*.md") if page.stem != "README"
)
_PLAYED: Final = 900  # seconds of film, more than any drill takes
_DEADLINE: Final = 90.0

T = TypeVar("T", bound=PostgresServer | TemporalServer)

pytestmark = [pytest.mark.serial, pytest.mark.timeout(600 if ALL else 300)]


def commands(page: Path) -> str:
    """Return the commands of a runbook, as one script."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return "\n".join(blocks)


class Server(Protocol):
    """A server that can be stopped and started."""

    def start(self) -> object: ...

    def stop(self) -> object: ...


class Restarted(Generic[T]):
    """A server whose class starts it once: each start makes another, with the same data.

    Args:
        run: starts it.
    """

    def __init__(self, run: Callable[[], T]) -> None:
        self._run = run
        self.server: T = run()

    def start(self) -> None:
        self.server = self._run()

    def stop(self) -> None:
        self.server.stop()


@dataclass
class Installation:
    """API, worker and their servers.

    Attributes:
        settings: environment of both processes, and of the operator.
        servers: by the names of FAULTS.
        stream: id of the stream that is played.
    """

    prometheus: Prometheus
    settings: dict[str, str]
    api: httpx.AsyncClient
    servers: Mapping[str, Server]
    stream: str = ""

    async def position(self) -> float:
        """Return how far the stream is analyzed; -1 if the API does not say."""
        await asyncio.sleep(0.2)  # not as often as the API can answer
        try:
            answer = await self.api.get(f"/v1/streams/{self.stream}")
        except httpx.TransportError:
            return -1.0
        if answer.status_code != httpx.codes.OK:
            return -1.0
        return float(answer.json()["analyzed"])

    async def advances(self) -> None:
        """Wait until more of the stream is analyzed than now."""
        before = -1.0

        async def is_known() -> bool:
            nonlocal before
            before = await self.position()
            return before >= 0

        async def is_later() -> bool:
            return await self.position() > before

        async with asyncio.timeout(_DEADLINE):
            await eventually(is_known)
            await eventually(is_later)

    async def run(self, page: Path) -> str:
        """Run the commands of a runbook as an operator does, and return what they print."""
        done = await asyncio.to_thread(
            subprocess.run,
            ["/bin/bash", "-euc", commands(page)],
            cwd=ROOT,
            env=self.settings,
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
        assert done.returncode == 0, f"{page.name}: {done.stdout}{done.stderr}"
        return done.stdout


def film(directory: Path) -> Path:
    """Return a small film of a moving picture, as long as the drill takes."""
    once, whole = directory / "once.mp4", directory / "film.mp4"
    quiet = [str(find_ffmpeg()), "-v", "error", "-y"]
    picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]
    sound = ["-f", "lavfi", "-i", "anoisesrc=a=0.1:r=48000"]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"]
    subprocess.run([*quiet, *picture, *sound, "-t", "10", *coded, str(once)], check=True)
    loop = ["-stream_loop", str(_PLAYED // 10), "-i", str(once), "-c", "copy"]
    subprocess.run([*quiet, *loop, str(whole)], check=True)
    return whole


@pytest.fixture
async def installation(home: Path, broker: Broker, tmp_path: Path) -> AsyncIterator[Installation]:
    async with AsyncExitStack() as stack:
        data = stack.enter_context(server_directory())

        def run_postgres() -> PostgresServer:
            return PostgresServer(data / "data", log=data / "postgres.log", durable=False)

        postgres = Restarted(run_postgres)
        stack.callback(postgres.stop)
        urls = await asyncio.to_thread(run_apart, postgres.server.prepare())
        await migrate(urls.owner)

        binary = temporal_binary.find_binary(home)
        assert binary is not None
        (temporal_port, api_port) = free_ports(2)

        def run_temporal() -> TemporalServer:
            server = TemporalServer(
                binary,
                port=temporal_port,
                ui_port=None,
                database=tmp_path / "temporal.db",
                log=tmp_path / "temporal.log",
            )
            server.wait_ready()
            return server

        temporal = Restarted(run_temporal)
        stack.callback(temporal.stop)
        s3 = S3Server(find_s3_server(home), tmp_path)
        s3.start()
        stack.callback(s3.stop)
        redis = RedisServer(find_redis(), tmp_path)
        redis.start()
        stack.callback(redis.stop)
        prometheus = Prometheus(tmp_path, with_api=True)
        stack.callback(prometheus.process.stop)
        bucket = s3.make_bucket()
        settings = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "HIGHLIGHTS_HOME": str(home),
            "HIGHLIGHTS_ALLOW_PRIVATE_URLS": "true",
            "HIGHLIGHTS_SIGNING_SECRET": "s" * 32,
            "HIGHLIGHTS_DEFAULT_PLAN": "enterprise",
            "DATABASE_URL": urls.application,
            "SEGMENT_STORE": f"s3://{bucket}/segments",
            "CLIP_STORE": f"s3://{bucket}/clips",
            "AMQP_URL": broker.url,
            "REDIS_URL": redis.url,
            "TEMPORAL_ADDRESS": temporal.server.address,
            "HIGHLIGHTS_API_PORT": str(api_port),
            "HIGHLIGHTS_URL": f"http://127.0.0.1:{api_port}",
            "PROMETHEUS_URL": prometheus.url,
            **s3.environment(),
        }
        program = [sys.executable, "-m", "app.cli"]
        ours = {
            "worker": {
                "HIGHLIGHTS_METRICS_ADDRESS": prometheus.ours,
                "HIGHLIGHTS_TEMPORAL_METRICS_ADDRESS": prometheus.sdk,
            },
            "serve": {"HIGHLIGHTS_METRICS_ADDRESS": prometheus.api},
        }
        for name, addresses in ours.items():
            process = ChildProcess(
                [*program, name], log=tmp_path / f"{name}.log", env=settings | addresses
            )
            stack.callback(process.stop)
        created = await asyncio.to_thread(
            subprocess.run,
            [*program, "keys", "create", "--tenant", "drill"],
            env=settings,
            capture_output=True,
            text=True,
            check=True,
        )
        api = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=settings["HIGHLIGHTS_URL"],
                headers={"Authorization": f"Bearer {created.stdout.strip()}"},
                timeout=30,
            )
        )
        stack.callback(restart, broker)
        yield Installation(
            prometheus,
            settings,
            api,
            servers={
                "redis": redis,
                "rabbitmq": broker,
                "postgres": postgres,
                "s3": s3,
                "temporal": temporal,
            },
        )


def restart(broker: Broker) -> None:
    """Start the broker, which other tests use too, from this thread.

    The drill starts it from a thread of the event loop, with which the kernel would end it.
    """
    broker.stop()
    broker.start()


@dataclass(frozen=True)
class Fault:
    """A server that stops.

    Attributes:
        server: its name.
        alert: labels of the alert that fires.
        says: what the commands of its runbook print, among other things.
    """

    server: str
    alert: dict[str, str]
    says: str

    @property
    def runbook(self) -> Path:
        return ROOT / "docs" / "runbooks" / f"{self.alert['alertname']}.md"


def unreachable(server: str, component: str) -> Fault:
    return Fault(server, {"alertname": "DependencyDown", "dependency": server}, component)


FAULTS: Final = [
    unreachable("rabbitmq", "RabbitMQ: "),
    unreachable("postgres", "Database: "),
    *(
        [
            unreachable("redis", "Redis: "),
            Fault("s3", {"alertname": "StoreFailing"}, "S3: segments: "),
            Fault("temporal", {"alertname": "TemporalUnreachable"}, "Temporal: "),
        ]
        if ALL
        else []
    ),
]


async def test_each_server_stops_while_a_stream_is_played(
    installation: Installation, tmp_path: Path
) -> None:
    film_path = await asyncio.to_thread(film, tmp_path)
    # A playlist of a minute, so that the outages of this drill cost no media.
    options = OriginOptions(window=60, autostart=False)
    async with LiveOrigin(film_path, options) as origin:
        await begin(installation, origin)
        for fault in FAULTS:
            await asyncio.to_thread(installation.servers[fault.server].stop)
            await fires(installation, fault)
            shown = await installation.run(fault.runbook)
            await asyncio.to_thread(installation.servers[fault.server].start)
            assert fault.says in shown
            await installation.advances()
        for page in RUNBOOKS:
            if ALL or "highlights doctor" not in commands(page):
                await installation.run(page)


async def fires(installation: Installation, fault: Fault) -> None:
    """Wait for the alert of a fault, while a tenant uses the API."""

    async def is_firing() -> bool:
        await installation.position()
        alerts = await installation.prometheus.alerts()
        return any(fault.alert.items() <= each.items() for each in alerts)

    async with asyncio.timeout(_DEADLINE):
        await eventually(is_firing)


async def begin(installation: Installation, origin: LiveOrigin) -> None:
    """Start the stream once the API is ready, and wait until some of it is analyzed."""

    async def is_ready() -> bool:
        with suppress(httpx.TransportError):
            return (await installation.api.get("/readyz")).status_code == httpx.codes.OK
        return False

    async with asyncio.timeout(_DEADLINE):
        await eventually(is_ready)
    body = {"url": origin.master_url, "game": "soccer"}
    answer = await installation.api.post(
        "/v1/streams/analyze", json=body, headers={"Idempotency-Key": "drill"}
    )
    installation.stream = answer.raise_for_status().json()["id"]
    await origin.wait_requested()
    origin.begin()
    await installation.advances()


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_begins_with_commands(page: Path) -> None:
    assert commands(page), "a page says first what to run"
