"""Drills: a dependency stops, and a real Prometheus that scrapes this process fires its alert.

Rules and configuration are those of deploy/monitoring, with windows and waits of seconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from temporalio import workflow
from temporalio.worker import Worker

from app.dev import temporal as temporal_binary
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from app.serve import build_app
from infra.api_keys import KeyMode, generate
from infra.settings import Settings
from infra.storage.s3 import S3Bucket, S3Connection, S3Error, S3Location
from infra.telemetry.metrics import serve_metrics
from infra.telemetry.temporal import temporal_runtime
from infra.temporal.client import connect
from tests.fakes.s3_server import S3Server, find_s3_server
from tests.integration.deploy.prometheus import Prometheus


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Prometheus]:
    started = Prometheus(tmp_path)
    yield started
    started.process.stop()


async def nothing() -> None:
    """Wait for the alert without doing anything."""


async def test_a_process_that_ends(prometheus: Prometheus) -> None:
    with serve_metrics(prometheus.ours):
        await prometheus.until(lambda alerts: "ProcessDown" not in alerts, meanwhile=nothing)
    await prometheus.until(lambda alerts: "ProcessDown" in alerts, meanwhile=nothing)


async def test_the_store_stops(
    prometheus: Prometheus, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = S3Server(find_s3_server(home), tmp_path)
    server.start()
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    connection = S3Connection()
    bucket = S3Bucket(connection, S3Location(server.make_bucket()))

    async def ask() -> None:
        with contextlib.suppress(S3Error):
            await bucket.exists("anything")

    with serve_metrics(prometheus.ours):
        await ask()
        assert "StoreFailing" not in await prometheus.firing()
        server.stop()
        await prometheus.until(lambda alerts: "StoreFailing" in alerts, meanwhile=ask)
    await connection.close()


async def test_the_database_stops(prometheus: Prometheus, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    app = build_app(
        Settings(
            database_url=SecretStr(f"postgresql://app@127.0.0.1:{port}/none"),
            clip_store=str(tmp_path / "clips"),
            segment_store=str(tmp_path / "segments"),
            signing_secret=SecretStr("s" * 32),
        )
    )
    key = {"Authorization": f"Bearer {generate(KeyMode.TEST).value}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as api,
    ):

        async def ask() -> None:
            assert (await api.get("/v1/streams/list", headers=key)).status_code == 503

        with serve_metrics(prometheus.ours):
            await prometheus.until(
                lambda alerts: "ApiErrorBudgetBurnsFast" in alerts, meanwhile=ask
            )


@workflow.defn(sandboxed=False)
class NothingWorkflow:
    @workflow.run
    async def run(self) -> None:
        """End at once."""


async def test_temporal_stops(prometheus: Prometheus, home: Path, tmp_path: Path) -> None:
    binary = temporal_binary.find_binary(home)
    assert binary is not None
    (port,) = free_ports(1)
    server = TemporalServer(binary, port=port, ui_port=None, database=None, log=tmp_path / "t.log")
    server.wait_ready()
    settings = Settings(temporal_address=server.address, temporal_metrics_address=prometheus.sdk)
    client = await connect(settings, runtime=temporal_runtime(settings))
    with serve_metrics(prometheus.ours):
        async with Worker(
            client,
            task_queue="drill",
            workflows=[NothingWorkflow],
            graceful_shutdown_timeout=timedelta(0),
        ):
            await client.execute_workflow(
                NothingWorkflow.run, id=f"drill-{uuid4()}", task_queue="drill"
            )
            assert "TemporalUnreachable" not in await prometheus.firing()
            server.stop()
            await prometheus.until(
                lambda alerts: "TemporalUnreachable" in alerts, meanwhile=nothing
            )
