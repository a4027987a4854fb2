"""One whole stack for all tests of this folder, and a short match to play to it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app.dev.supervisor import free_ports
from demo.match import Match, ensure_match
from infra.state_directory import Running, StateDirectory
from tests.conftest import server_directory
from tests.e2e.installation import START_TIMEOUT, dev
from tests.e2e.tenant import Tenant

MATCH_SEED = 14
MATCH_DURATION = 90.0


class Stack:
    """A running `highlights dev` that may read from this machine's own addresses."""

    def __init__(self, state: Path) -> None:
        self.state = state

    @property
    def running(self) -> Running:
        """What runs now."""
        running = StateDirectory(self.state).running()
        assert running is not None, "the stack has stopped"
        return running

    @contextmanager
    def api_away(self) -> Iterator[None]:
        """Let the API answer nothing while the block lasts, as when its machine is cut off."""
        api = self.running.pids["api"]
        os.kill(api, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(api, signal.SIGCONT)

    def kill_worker(self) -> list[psutil.Process]:
        """Kill the worker outright; return it and the processes that it had started."""
        return self._kill("worker")

    def kill_api(self) -> None:
        """Kill the API outright; it is started again at its address."""
        self._kill("api")

    def _kill(self, service: str) -> list[psutil.Process]:
        process = psutil.Process(self.running.pids[service])
        family = [process, *process.children(recursive=True)]
        process.kill()
        deadline = time.monotonic() + START_TIMEOUT
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return family


@pytest.fixture(scope="session")
def hms_port() -> int:
    """The port at which the stack looks for 100ms's API."""
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="session")
def stack(home: Path, hms_port: int) -> Iterator[Stack]:
    """Temporal, PostgreSQL, worker and API, each in a process of its own."""
    with server_directory() as directory:
        settings = {
            "HIGHLIGHTS_ALLOW_PRIVATE_URLS": "true",
            "HIGHLIGHTS_HMS_API_URL": f"http://127.0.0.1:{hms_port}",
            "HIGHLIGHTS_RECONCILE_INTERVAL": "3",
        }
        with dev(directory / "state", log=directory / "log", settings=settings):
            yield Stack(directory / "state")


@pytest.fixture
async def tenant(stack: Stack) -> AsyncIterator[Tenant]:
    """A client with the development tenant's key."""
    running = stack.running
    assert running.api_key is not None
    async with Tenant(running.api_url, running.api_key) as tenant:
        yield tenant


@pytest.fixture(scope="session")
def match(home: Path) -> Match:
    """A scripted match of a minute and a half with two clear moments."""
    return ensure_match(home, seed=MATCH_SEED, duration=MATCH_DURATION)
