"""The system under test: PostgreSQL, Temporal, a worker, and the two servers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psutil

from app.dev import temporal as temporal_binary
from app.dev.postgres import APPLICATION, DatabaseUrls, PostgresServer
from app.dev.supervisor import accepts, free_ports
from app.dev.temporal import TemporalServer
from app.services.api_keys import TenantKey, create_key
from benchmarks.inbound.load import Load, Outcome
from domain.tenants.keys import Scope
from domain.tenants.usage import PlanName
from infra.child_process import ChildProcess
from infra.db.engine import Database
from infra.db.migration import migrate
from infra.db.repositories import tenants
from infra.settings import Settings

SECRET: Final = "s" * 32
_KINDS: Final = ("ours", "bare")
_START_TIMEOUT: Final = 60.0
_PATIENCE: Final = 120.0


class Server(ChildProcess):
    """One of the two servers."""

    def __init__(self, kind: str, *, port: int, arguments: tuple[str, ...], log: Path) -> None:
        self.port = port
        module = (sys.executable, "-m", "benchmarks.inbound.served")
        super().__init__([*module, kind, str(port), *arguments], log=log, stop_signal=signal.SIGINT)

    def cpu_seconds(self) -> float:
        """Return the processor time used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All running processes, and the ids of the connection."""

    servers: Mapping[str, Server]
    temporal: TemporalServer
    urls: DatabaseUrls
    superuser: str
    tenant_id: UUID
    connection_id: UUID
    path: str
    headers: Mapping[str, str]

    def load(self, kind: str, **wanted: object) -> Load:
        """Return a load for one of the servers."""
        port = self.servers[kind].port
        return Load.model_validate(
            {"port": port, "path": self.path, "headers": self.headers, **wanted}
        )


def send(load: Load) -> Outcome:
    """Send a load from a separate process.

    Raises:
        SystemExit: an event was not received with 200.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.inbound.load"],
        input=load.model_dump_json().encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=load.duration + _PATIENCE,
    )
    outcome = Outcome.model_validate_json(done.stdout)
    if outcome.refused or outcome.broken:
        raise SystemExit(f"{outcome.refused} refused, {outcome.broken} connections broken")
    return outcome


@contextmanager
def stage(*, profile: Path | None = None, durable_temporal: bool = False) -> Iterator[Stage]:
    """Start everything; stop it at the end.

    Args:
        profile: where our server's profile is written when it stops.
        durable_temporal: Temporal keeps its data in a file, as under `highlights dev`.
    """
    binary = temporal_binary.find_binary(Settings().home_path())
    if binary is None:
        raise SystemExit("There is no Temporal server: run `highlights setup` once.")
    with ExitStack() as stack:
        # Outside our own directories: started by root, PostgreSQL runs as another account.
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inbound-")))
        temporal_port, *ports = free_ports(1 + len(_KINDS))
        postgres = PostgresServer(root / "data", log=root / "postgres.log")
        stack.callback(postgres.stop)
        temporal = TemporalServer(
            binary,
            port=temporal_port,
            ui_port=None,
            database=root / "temporal.db" if durable_temporal else None,
            log=root / "temporal.log",
        )
        stack.callback(temporal.stop)
        urls, key = asyncio.run(_prepare(postgres))
        temporal.wait_ready()
        os.environ |= {
            "DATABASE_URL": urls.application,
            "TEMPORAL_ADDRESS": temporal.address,
            "HIGHLIGHTS_SIGNING_SECRET": SECRET,
        }
        superuser = urls.application.replace(f"+asyncpg://{APPLICATION}", "://postgres")
        servers = {}
        for kind, port in zip(_KINDS, ports, strict=True):
            arguments: tuple[str, ...] = (superuser, str(key.tenant_id))
            if profile is not None and kind == "ours":
                arguments = (*arguments, str(profile))
            server = Server(kind, port=port, arguments=arguments, log=root / f"{kind}.log")
            stack.callback(server.stop)
            servers[kind] = server
        worker = ChildProcess(
            [sys.executable, "-m", "benchmarks.inbound.worker"],
            log=root / "worker.log",
            stop_signal=signal.SIGINT,
        )
        stack.callback(worker.stop)
        made = asyncio.run(_connect(servers, key))
        secrets = made["secrets"]
        yield Stage(
            servers=servers,
            temporal=temporal,
            urls=urls,
            superuser=superuser,
            tenant_id=key.tenant_id,
            connection_id=UUID(made["id"]),
            path=urlsplit(made["webhook_url"]).path,
            headers={secrets["header_name"]: secrets["header_value"]},
        )


async def _prepare(postgres: PostgresServer) -> tuple[DatabaseUrls, TenantKey]:
    urls = await postgres.prepare()
    await migrate(urls.owner)
    database = Database(urls.application, pool_size=1)
    try:
        key = await create_key(
            database,
            secret=SECRET.encode(),
            slug="measured",
            name="benchmark",
            scopes=(Scope.ADMIN,),
        )
        async with database.session(key.tenant_id) as session:
            await tenants.set_plan(session, tenant_id=key.tenant_id, plan=PlanName.ENTERPRISE)
    finally:
        await database.close()
    return urls, key


async def _connect(servers: Mapping[str, Server], key: TenantKey) -> dict[str, Any]:
    async with asyncio.timeout(_START_TIMEOUT):
        for server in servers.values():
            while not accepts(server.port):
                if not server.running():
                    raise SystemExit(f"A server did not start: {server.last_words()}")
                await asyncio.sleep(0.05)
    url = f"http://127.0.0.1:{servers['ours'].port}"
    headers = {"Authorization": f"Bearer {key.key.value}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60.0) as client:
        checks = {"source": False, "secret_header": True}
        answer = await client.post("/v1/connections", json={"name": "load", "checks": checks})
    made: dict[str, Any] = answer.raise_for_status().json()
    return made
