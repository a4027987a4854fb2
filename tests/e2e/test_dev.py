"""`highlights dev`, as a user starts and stops it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import psutil
import pytest

from infra.embedded.home import StateDirectory
from tests.e2e.installation import ROOT, START_TIMEOUT, STOP_TIMEOUT, command, dev

pytestmark = [pytest.mark.serial]


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
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


def test_a_taken_port_is_named_with_the_option_that_changes_it(server_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        refused = run("dev", "--api-port", port, "--state-dir", str(server_path / "state"))
    assert refused.returncode == 1
    assert f"Port {port}" in refused.stderr
    assert "--api-port" in refused.stderr
    assert "Traceback" not in refused.stderr
