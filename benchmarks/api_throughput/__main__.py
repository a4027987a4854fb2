"""Throughput of the API against bare FastAPI and asyncpg in the same run.

`python -m benchmarks.api_throughput [--rounds 6] [--duration 3] [--connections 8] [--only list]
[--report out.json]` measures two operations of the whole API, with keys, plans, limits,
idempotency, row-level security, validation, headers and access log as in production:

    list      GET  /v1/highlights/list    a page of 50 highlights with their clips
    analyze   POST /v1/streams/analyze    under a new Idempotency-Key each time

The bare one (`bare.py`) does for `list` one SELECT of the same rows and fields, for `analyze` an
INSERT and a start of the workflow at the same Temporal server, in memory. PostgreSQL is one for
both, and durable. Each server is one process with the same uvicorn; one runs under load while the
other waits, in turns, so that both meet the same machine. The tenant's plan is `enterprise`
without limits: requests are counted, none is refused. Responses are not compressed.

The ratio of throughput counts on an idle machine; the ratio of processor time per response is
nearly the same, and is less affected by other load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console

from app.dev import temporal as temporal_binary
from app.dev.postgres import APPLICATION, DatabaseUrls, PostgresServer
from app.dev.supervisor import accepts, free_ports
from app.dev.temporal import TemporalServer
from app.services.api_keys import TenantKey, create_key
from benchmarks.api_throughput.load import Load, Outcome
from benchmarks.api_throughput.report import Comparison, Report, Round, percentile, table
from benchmarks.api_throughput.rows import fill
from benchmarks.quality.report import machine
from domain.tenants.keys import Scope
from domain.tenants.usage import PlanName
from infra.child_process import ChildProcess
from infra.db.engine import Database
from infra.db.migration import migrate
from infra.db.repositories import tenants
from infra.settings import Settings

TARGET: Final = 0.6
"""Of the bare one's throughput, for the list."""

_SECRET: Final = "s" * 32
_KINDS: Final = ("ours", "bare")
_OPERATIONS: Final = ("list", "analyze")
_BODY: Final = json.dumps(
    {"url": "https://cdn.example.com/live/master.m3u8", "game": "soccer", "title": "Cup final"}
)
_START_TIMEOUT: Final = 60.0
_PATIENCE: Final = 30.0


class _Server(ChildProcess):
    """One of the two servers."""

    def __init__(self, kind: str, *, port: int, arguments: tuple[str, ...], log: Path) -> None:
        self.port = port
        super().__init__(
            [
                *(sys.executable, "-m", "benchmarks.api_throughput.served"),
                *(kind, str(port), *arguments),
            ],
            log=log,
        )

    def cpu_seconds(self) -> float:
        """Return the processor time used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


def main() -> None:
    """Measure, print and store the report."""
    options = _options()
    console = Console(width=100)
    before = os.getloadavg()[0]
    with _servers() as (servers, key), console.status("measuring"):
        comparisons = [
            _compare(operation, servers, key, options) for operation in options.only or _OPERATIONS
        ]
    report = Report(
        machine=machine(),
        load_average=(round(before, 2), round(os.getloadavg()[0], 2)),
        connections=options.connections,
        duration=options.duration,
        comparisons=tuple(comparisons),
    )
    for comparison in comparisons:
        console.print(table(comparison))
    console.print(
        f"{len(comparisons[0].ours)} rounds of {options.duration:g} s each, "
        f"{options.connections} connections; target of list: {TARGET:g}\n"
        f"{report.machine}; load average {before:.1f} before, {report.load_average[1]} at the end"
    )
    if options.report is not None:
        options.report.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api_throughput")
    parser.add_argument("--only", nargs="+", choices=_OPERATIONS)
    parser.add_argument("--rounds", type=int, default=6, help="of each server")
    parser.add_argument("--duration", type=float, default=3.0, help="seconds of each round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--report", type=Path, help="write the results here, as JSON")
    return parser.parse_args()


@contextmanager
def _servers() -> Iterator[tuple[dict[str, _Server], TenantKey]]:
    binary = temporal_binary.find_binary(Settings().home_path())
    if binary is None:
        raise SystemExit("There is no Temporal server: run `highlights setup` once.")
    with ExitStack() as stack:
        # Outside our own directories: started by root, PostgreSQL runs as another account.
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="throughput-")))
        temporal_port, *ports = free_ports(1 + len(_KINDS))
        postgres = PostgresServer(root / "data", log=root / "postgres.log")
        stack.callback(postgres.stop)
        temporal = TemporalServer(
            binary, port=temporal_port, ui_port=None, database=None, log=root / "temporal.log"
        )
        stack.callback(temporal.stop)
        urls, key = asyncio.run(_prepare(postgres))
        temporal.wait_ready()
        os.environ |= {
            "DATABASE_URL": urls.application,
            "TEMPORAL_ADDRESS": temporal.address,
            "HIGHLIGHTS_SIGNING_SECRET": _SECRET,
        }
        superuser = urls.application.replace(f"+asyncpg://{APPLICATION}", "://postgres")
        servers = {}
        for kind, port in zip(_KINDS, ports, strict=True):
            arguments = (superuser, str(key.tenant_id))
            server = _Server(kind, port=port, arguments=arguments, log=root / f"{kind}.log")
            stack.callback(server.stop)
            servers[kind] = server
        asyncio.run(_wait(servers))
        yield servers, key


async def _prepare(postgres: PostgresServer) -> tuple[DatabaseUrls, TenantKey]:
    """Create the tables and two tenants with rows, so that row-level security filters rows."""
    urls = await postgres.prepare()
    await migrate(urls.owner)
    database = Database(urls.application, pool_size=1)
    try:
        for slug in ("neighbour", "measured"):
            key = await create_key(
                database,
                secret=_SECRET.encode(),
                slug=slug,
                name="benchmark",
                scopes=(Scope.READ, Scope.WRITE),
            )
            async with database.session(key.tenant_id) as session:
                await tenants.set_plan(session, tenant_id=key.tenant_id, plan=PlanName.ENTERPRISE)
            await fill(database, key.tenant_id)
    finally:
        await database.close()
    return urls, key


async def _wait(servers: dict[str, _Server]) -> None:
    async with asyncio.timeout(_START_TIMEOUT):
        for server in servers.values():
            while not accepts(server.port):
                if not server.running():
                    raise SystemExit(f"A server did not start: {server.last_words()}")
                await asyncio.sleep(0.05)


def _compare(
    operation: str, servers: dict[str, _Server], key: TenantKey, options: argparse.Namespace
) -> Comparison:
    rounds: dict[str, list[Round]] = {kind: [] for kind in _KINDS}
    number = 0
    for kind in _KINDS:  # a warm-up round, which fills pools and caches
        number += _run(operation, servers[kind], key, number, options)[1]
    for turn in range(options.rounds):
        # ABBA: drift affects both alike.
        for kind in _KINDS if turn % 2 == 0 else reversed(_KINDS):
            measured, asked = _run(operation, servers[kind], key, number, options)
            number += asked
            rounds[kind].append(measured)
    return Comparison(operation=operation, ours=tuple(rounds["ours"]), bare=tuple(rounds["bare"]))


def _run(
    operation: str,
    server: _Server,
    key: TenantKey,
    number: int,
    options: argparse.Namespace,
) -> tuple[Round, int]:
    load = Load(
        port=server.port,
        request=_request(operation, key),
        status=200 if operation == "list" else 201,
        connections=options.connections,
        duration=options.duration,
        first_number=number,
    )
    cpu = server.cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.api_throughput.load"],
        input=load.model_dump_json().encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=options.duration + _PATIENCE,
    )
    cpu = server.cpu_seconds() - cpu
    outcome = Outcome.model_validate_json(done.stdout)
    if outcome.wrong:
        raise SystemExit(f"{outcome.wrong} wrong answers: {server.last_words()}")
    ranked, count = sorted(outcome.seconds), len(outcome.seconds)
    return Round(
        rate=count / outcome.elapsed,
        p50=percentile(ranked, 0.5) * 1000,
        p99=percentile(ranked, 0.99) * 1000,
        cpu=cpu / count * 1000,
        size=outcome.bytes / count,
        generator_share=outcome.generator_share,
    ), count


def _request(operation: str, key: TenantKey) -> str:
    head = {
        "Host": "127.0.0.1",
        "Accept": "application/json",
        "Authorization": f"Bearer {key.key.value}",
    }
    line, body = "GET /v1/highlights/list HTTP/1.1", ""
    if operation == "analyze":
        line, body = "POST /v1/streams/analyze HTTP/1.1", _BODY
        head |= {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Idempotency-Key": "request-{number}",
        }
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in head.items()), "", body])


if __name__ == "__main__":
    main()
