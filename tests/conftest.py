"""What all tests share: a clean environment, and real servers, one of each per xdist worker.

Fixtures: `home`, `postgres_server`, `postgres` (a migrated database), `empty_database`,
`temporal_server`, `temporal_client`, `redis_server`, `s3_server`, `s3_bucket`, `server_path`.
Servers start when first asked for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from uuid import uuid4

import hypothesis
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from app.dev import temporal as temporal_binary
from app.dev.postgres import DatabaseUrls, PostgresServer
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from infra.db.migration import migrate
from infra.settings import Settings
from infra.temporal.client import connect
from tests.redis_server import RedisServer, find_redis
from tests.s3_server import S3Server, find_s3_server

T = TypeVar("T")

# In CI a change is judged by the same examples every time; new ones are looked for elsewhere.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("here", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

_SHARED_CACHES = ("bin", "match", "tools")
_OUTSIDE_NAMES = (
    "AMQP_URL",
    "CLIP_CDN_URL",
    "CLIP_STORE",
    "GEMINI_API_KEY",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "REDIS_URL",
    "SEGMENT_STORE",
)
_OUTSIDE_PREFIXES = ("AWS_", "HIGHLIGHTS_", "TEMPORAL_", "DATABASE_")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing may be missing, so a skipped test is a failed one."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {reason}"
    return report


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty HIGHLIGHTS_HOME that shares the developer's caches; no other setting is set."""
    developers = Settings().home_path()
    path = tmp_path_factory.mktemp("home")
    for cache in _SHARED_CACHES:
        (developers / cache).mkdir(parents=True, exist_ok=True)
        (path / cache).symlink_to(developers / cache)
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name in _OUTSIDE_NAMES or name.startswith(_OUTSIDE_PREFIXES):
                patch.delenv(name)
        patch.setenv("HIGHLIGHTS_HOME", str(path))
        patch.setenv("AWS_CONFIG_FILE", str(path / "no-aws-config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path / "no-aws-credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield path


@pytest.fixture
def server_path() -> Iterator[Path]:
    """A temporary directory for a test that starts PostgreSQL itself; see `server_directory`."""
    with server_directory() as path:
        yield path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL of this test process."""
    with server_directory() as root:
        server = PostgresServer(root / "data", log=root / "postgres.log", durable=False)
        try:
            run_apart(server.prepare())
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres(postgres_server: PostgresServer) -> DatabaseUrls:
    """The database of this test process, migrated: URLs of the owner and of the application.

    Tests commit for real; each makes tenants of its own.
    """
    urls = run_apart(postgres_server.prepare())
    run_apart(migrate(urls.owner))
    return urls


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> DatabaseUrls:
    """A new database without tables."""
    return run_apart(postgres_server.prepare(f"test_{uuid4().hex}"))


@pytest.fixture(scope="session")
def temporal_server(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TemporalServer]:
    """A real Temporal server of this test process, in memory, with our search attributes."""
    binary = temporal_binary.find_binary(home)
    if binary is None:
        pytest.fail("there is no Temporal binary: run `highlights setup` once")
    (port,) = free_ports(1)
    log = tmp_path_factory.mktemp("temporal") / "temporal.log"
    server = TemporalServer(binary, port=port, ui_port=None, database=None, log=log)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def temporal_client(temporal_server: TemporalServer) -> Client:
    """A client of it, with nothing running or scheduled that an earlier test has left.

    Task queues are the product's own, so workers of this test would take it up.
    """
    client = await connect(Settings(temporal_address=temporal_server.address))
    async for schedule in await client.list_schedules():
        with suppress(RPCError):  # it is deleted already, and listed for a moment longer
            await client.get_schedule_handle(schedule.id).delete()
    async for left in client.list_workflows("ExecutionStatus = 'Running'"):
        with suppress(RPCError):  # it has ended by itself
            await client.get_workflow_handle(left.id).terminate("left by an earlier test")
    return client


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis of this test, which may stop and start it."""
    server = RedisServer(find_redis(), tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server of this test process."""
    server = S3Server(find_s3_server(home), tmp_path_factory.mktemp("s3"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def s3_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket of that server, which the environment leads to."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server.make_bucket()


@contextmanager
def server_directory() -> Iterator[Path]:
    """A temporary directory outside pytest's.

    Started by root, PostgreSQL runs as another account, and every new pytest session closes the
    directories of all sessions to other accounts.
    """
    with TemporaryDirectory(prefix="highlights-test-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def run_apart(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on another thread's loop, whatever this thread's is doing."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
