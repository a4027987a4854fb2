"""`highlights dev`, as a user starts and stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest
from sqlalchemy.engine import make_url

from demo.origin import LiveOrigin, OriginOptions
from domain.ids import stream_workflow_id
from infra.settings import Settings
from infra.state_directory import Running, StateDirectory
from infra.temporal.client import connect
from tests.e2e.installation import ROOT, START_TIMEOUT, STOP_TIMEOUT, command, dev
from tests.factories.media import make_video
from tldrtv_highlights import AsyncHighlightsClient
from tldrtv_highlights.models import Stream, StreamEnd

pytestmark = [pytest.mark.stack]

STALL_TIMEOUT = 10.0  # seconds; the least that the API lets a tenant ask for


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=STOP_TIMEOUT)
    assert alive == []


def test_it_answers_restarts_what_dies_and_stops_without_a_trace(server_path: Path) -> None:
    state = server_path / "state"
    with dev(state, log=server_path / "log") as (process, running):
        assert httpx.get(f"{running.api_url}/healthz").status_code == 200
        assert set(running.pids) == {"temporal", "postgres", "worker", "api"}

        assert running.worker_pid is not None
        os.kill(running.worker_pid, signal.SIGKILL)
        deadline = time.monotonic() + START_TIMEOUT
        while (now := StateDirectory(state).running()) is None or (
            now.worker_pid == running.worker_pid
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)

        second = run("dev", "--free-ports", "--state-dir", str(state))
        assert second.returncode == 1
        assert f"pid {process.pid}" in second.stderr

        processes = family(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_TIMEOUT) == 0
    assert_gone(processes)
    assert not (state / "ready.json").exists()


def test_killed_outright_it_leaves_no_process_and_the_next_start_finds_the_data(
    server_path: Path,
) -> None:
    state = server_path / "state"
    with dev(state, log=server_path / "first.log") as (process, first):
        processes = family(process)
        process.kill()
    assert_gone(processes)
    with dev(state, log=server_path / "second.log") as (_, second):
        assert second.api_key == first.api_key
        assert second.tenant_id == first.tenant_id


async def test_a_clean_restart_loses_no_segment_of_a_live_stream_and_leaves_nothing_behind(
    server_path: Path,
) -> None:
    state = server_path / "state"
    video = make_video(server_path / "video.mp4", seconds=90)
    settings = {"HIGHLIGHTS_ALLOW_PRIVATE_URLS": "true"}
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(LiveOrigin(video, OriginOptions()))
        with dev(state, log=server_path / "first.log", settings=settings) as (_, first):
            sockets = Path(str(make_url(first.database_url).query["host"]))
            async with client_of(first) as api:
                stream = await api.streams.analyze(origin.master_url)
                await until(api, stream.id, lambda now: now.segments >= 3)
            assert "ready.json" in names(state)
        assert sockets.name not in names(sockets.parent)
        assert {"ready.json", "owner.pid"}.isdisjoint(names(state))
        with dev(state, log=server_path / "second.log", settings=settings) as (_, second):
            published = origin.published
            async with client_of(second) as api:
                now = await until(api, stream.id, lambda now: now.segments >= published)
                assert now.missed == 0
                assert now.status == "live"


@pytest.mark.slow
async def test_an_outage_longer_than_the_stall_timeout_is_a_gap_and_a_lost_workflow_an_end(
    server_path: Path,
) -> None:
    state = server_path / "state"
    video = make_video(server_path / "video.mp4", seconds=240, size="160x90")
    settings = {
        "HIGHLIGHTS_ALLOW_PRIVATE_URLS": "true",
        "HIGHLIGHTS_EXECUTION_RECONCILE_INTERVAL": "3600",  # the command repairs, not a schedule
    }
    async with LiveOrigin(video, OriginOptions()) as origin:
        with dev(state, log=server_path / "first.log", settings=settings) as (process, first):
            async with client_of(first) as api:
                stream = await api.streams.analyze(origin.master_url, stall_timeout=STALL_TIMEOUT)
                await until(api, stream.id, lambda now: now.segments >= 2)
            processes = family(process)
            process.kill()
        assert_gone(processes)
        await asyncio.sleep(STALL_TIMEOUT + 3.0)
        with dev(state, log=server_path / "second.log", settings=settings) as (_, second):
            published = origin.published
            async with client_of(second) as api:
                now = await until(api, stream.id, lambda now: now.segments + now.missed > published)
                assert now.status == "live"
                assert now.missed > 0
                await terminate(second, stream.id)
                end = await reconciled(api, stream.id, state)
    assert (end.reason, "An operator stopped" in end.message) == ("internal", True)


async def terminate(running: Running, stream_id: str) -> None:
    """Stop a stream's workflow as an operator may in Temporal's UI: no code of ours runs."""
    client = await connect(Settings(temporal_address=running.temporal_address))
    name = stream_workflow_id(tenant_id=UUID(running.tenant_id), stream_id=UUID(stream_id))
    await client.get_workflow_handle(name).terminate()


async def reconciled(api: AsyncHighlightsClient, stream_id: str, state: Path) -> StreamEnd:
    """Run `highlights reconcile` until it ends the stream, whose row may be too new at first."""
    async with asyncio.timeout(90):
        while True:
            done = await asyncio.to_thread(run, "reconcile", HIGHLIGHTS_STATE_DIR=str(state))
            assert done.returncode == 0, done.stderr
            now = await api.streams.get(stream_id)
            if now.end is not None:
                assert done.stdout.strip() == "1 streams ended"
                return now.end
            assert done.stdout.strip() == "nothing to repair"
            await asyncio.sleep(3.0)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def client_of(running: Running) -> AsyncHighlightsClient:
    return AsyncHighlightsClient(running.api_url, running.api_key or "")


async def until(
    api: AsyncHighlightsClient, stream_id: str, done: Callable[[Stream], bool]
) -> Stream:
    """Wait until a stream is as it should be, for a minute at most."""
    async with asyncio.timeout(60):
        while not done(now := await api.streams.get(stream_id)):
            assert not now.is_over
            await asyncio.sleep(0.2)
    return now


def test_damaged_data_are_refused_by_a_sentence_and_nothing_is_left_running(
    server_path: Path,
) -> None:
    state = server_path / "state"
    state.mkdir()
    (state / "temporal.db").write_bytes(b"no database" * 1000)
    refused = run("dev", "--free-ports", "--state-dir", str(state))
    assert refused.returncode == 1
    assert f"Temporal's database {state / 'temporal.db'} is damaged" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(refused.stderr) < 1000
    assert (state / "temporal.db").read_bytes() == b"no database" * 1000


def test_a_taken_port_is_named_with_the_option_that_changes_it(server_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        refused = run("dev", "--api-port", port, "--state-dir", str(server_path / "state"))
    assert refused.returncode == 1
    assert f"Port {port}" in refused.stderr
    assert "--api-port" in refused.stderr
    assert "Traceback" not in refused.stderr
