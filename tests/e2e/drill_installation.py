"""API, worker and all servers as processes of their own, each of which can be killed or cut off."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

import psutil

from app.dev import temporal as temporal_binary
from app.dev.postgres import DatabaseUrls, PostgresServer
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from infra.child_process import ChildProcess
from infra.db.migration import migrate
from tests.conftest import run_apart, server_directory
from tests.e2e.installation import ROOT, command
from tests.fakes.rabbitmq import Broker, program
from tests.fakes.redis_server import RedisServer, find_redis
from tests.fakes.s3_server import S3Server, find_s3_server
from tests.fakes.tcp_proxy import TcpProxy

_AUDIT_LIMIT: Final = 120.0


class Startable(Protocol):
    """A server that can be stopped and started."""

    def start(self) -> object: ...

    def stop(self) -> object: ...


class ProcessPart:
    """A process whose class starts it once: each start makes another, with the same data.

    Args:
        run: starts it.
    """

    def __init__(self, run: Callable[[], ChildProcess]) -> None:
        self._run = run
        self.process = run()

    def start(self) -> None:
        self.process = self._run()

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """Kill it and everything that it started."""
        kill_family(self.process)


class ServerPart:
    """A server of `tests.fakes`, killed as a process is."""

    def __init__(self, server: Startable) -> None:
        self._server = server

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def kill(self) -> None:
        """Kill it and everything that it started."""
        kill_family(_process_of(self._server))
        self._server.stop()  # forgets the dead process


def kill_family(process: ChildProcess) -> None:
    """Kill a process and everything that it started."""
    family = [psutil.Process(process.pid)]
    family += family[0].children(recursive=True)
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(family, timeout=30)
    process.kill_group()


def _process_of(server: Startable) -> ChildProcess:
    found = [each for each in vars(server).values() if isinstance(each, ChildProcess)]
    return found[-1]


Part = ProcessPart | ServerPart


@dataclass
class DrillInstallation:
    """What a drill acts on.

    Attributes:
        parts: `api`, `worker`, `postgres`, `temporal`, `store`, `rabbitmq`, `redis`.
        networks: the worker's way to `database`, `temporal` and `store`.
        settings: environment of API and worker.
        api_url, api_key: of a tenant.
    """

    parts: dict[str, Part]
    networks: dict[str, TcpProxy]
    settings: dict[str, str]
    api_url: str
    api_key: str
    logs: Path
    further: list[ChildProcess] = field(default_factory=list)

    async def audit(self, *, tenant: str) -> tuple[bool, str]:
        """Audit a tenant's streams; return whether everything agrees, and what was printed."""
        done = await asyncio.to_thread(
            subprocess.run,
            command("audit", "--tenant", tenant, "--grace", "0"),
            cwd=ROOT,
            env=self.settings,
            capture_output=True,
            text=True,
            timeout=_AUDIT_LIMIT,
            check=False,
        )
        return done.returncode == 0, done.stdout + done.stderr

    def stop(self) -> None:
        """Stop API and workers."""
        for part in (self.parts["api"], self.parts["worker"], *self.further):
            part.stop()

    async def further_worker(self, name: str, **settings: str) -> ChildProcess:
        """Start another worker, and wait until it is ready.

        Args:
            name: of its log.
            settings: further environment variables.
        """
        log = self.logs / f"{name}.log"
        earlier = log.stat().st_size if log.exists() else 0
        worker = ChildProcess(command("worker"), log=log, env=self.settings | settings)
        self.further.append(worker)
        while b'"worker_ready"' not in log.read_bytes()[earlier:]:
            assert worker.running(), worker.last_words()
            await asyncio.sleep(0.2)
        return worker


@asynccontextmanager
async def drill_installation(home: Path, folder: Path) -> AsyncIterator[DrillInstallation]:
    """Start everything, and stop it at the end."""
    async with AsyncExitStack() as stack:
        data = stack.enter_context(server_directory())
        broker_server = program()
        assert broker_server is not None, "rabbitmq-server is not installed"

        def run_postgres() -> PostgresServer:
            return PostgresServer(data / "data", log=data / "postgres.log")

        postgres = ProcessPart(run_postgres)
        stack.callback(postgres.stop)
        assert isinstance(postgres.process, PostgresServer)
        urls = await asyncio.to_thread(run_apart, postgres.process.prepare())
        await migrate(urls.owner)
        temporal_port, api_port = free_ports(2)
        binary = temporal_binary.find_binary(home)
        assert binary is not None

        def run_temporal() -> TemporalServer:
            server = TemporalServer(
                binary,
                port=temporal_port,
                ui_port=None,
                database=folder / "temporal.db",
                log=folder / "temporal.log",
            )
            server.wait_ready()
            return server

        temporal = ProcessPart(run_temporal)
        stack.callback(temporal.stop)
        s3 = S3Server(find_s3_server(home), folder)
        redis = RedisServer(find_redis(), folder)
        (folder / "broker").mkdir()
        broker = Broker(broker_server, folder / "broker")
        stack.callback(broker.close)
        for server in (s3, redis, broker):
            server.start()
            stack.callback(server.stop)
        networks = {
            "store": await stack.enter_async_context(TcpProxy(s3.port)),
            "temporal": await stack.enter_async_context(TcpProxy(temporal_port)),
            "database": await stack.enter_async_context(TcpProxy(_socket(urls))),
        }
        bucket = s3.make_bucket()
        user = urlsplit(urls.application).username
        name = urlsplit(urls.application).path
        settings = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "HIGHLIGHTS_HOME": str(home),
            "HIGHLIGHTS_ALLOW_PRIVATE_URLS": "true",
            "HIGHLIGHTS_SIGNING_SECRET": "s" * 32,
            "HIGHLIGHTS_DEFAULT_PLAN": "enterprise",
            "HIGHLIGHTS_EXECUTION_RECONCILE_INTERVAL": "3",
            "HIGHLIGHTS_API_PORT": str(api_port),
            "DATABASE_URL": f"postgresql://{user}@127.0.0.1:{networks['database'].port}{name}",
            "TEMPORAL_ADDRESS": f"127.0.0.1:{networks['temporal'].port}",
            "SEGMENT_STORE": f"s3://{bucket}/segments",
            "CLIP_STORE": f"s3://{bucket}/clips",
            "AMQP_URL": broker.url,
            "REDIS_URL": redis.url,
            **s3.environment(),
            "AWS_ENDPOINT_URL_S3": networks["store"].url,
        }

        def run(name: str) -> Callable[[], ChildProcess]:
            return lambda: ChildProcess(command(name), log=folder / f"{name}.log", env=settings)

        created = await asyncio.to_thread(
            subprocess.run,
            command("keys", "create", "--tenant", "drill"),
            cwd=ROOT,
            env=settings,
            capture_output=True,
            text=True,
            check=True,
        )
        installation = DrillInstallation(
            parts={
                "api": ProcessPart(run("serve")),
                "worker": ProcessPart(run("worker")),
                "postgres": postgres,
                "temporal": temporal,
                "store": ServerPart(s3),
                "rabbitmq": ServerPart(broker),
                "redis": ServerPart(redis),
            },
            networks=networks,
            settings=settings,
            api_url=f"http://127.0.0.1:{api_port}",
            api_key=created.stdout.strip(),
            logs=folder,
        )
        stack.callback(installation.stop)
        yield installation


def _socket(urls: DatabaseUrls) -> Path:
    query = parse_qs(urlsplit(urls.application).query)
    return Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}"
