"""A real Redis that a test may stop and start again."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final

import pytest
from redis import Redis
from redis.exceptions import RedisError

from app.dev.supervisor import free_ports
from infra.child_process import ChildProcess

_DEADLINE: Final = 20.0
_POLL_INTERVAL: Final = 0.02


class RedisServer:
    """`redis-server` on a port of its own; it keeps nothing when stopped."""

    def __init__(self, program: str, directory: Path) -> None:
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}"
        self._program = program
        self._directory = directory
        self._process: ChildProcess | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        argv = [self._program, "--port", str(self.port), "--bind", "127.0.0.1"]
        argv += ["--save", "", "--appendonly", "no", "--dir", str(self._directory)]
        self._process = ChildProcess(argv, log=self._directory / "redis.log")
        deadline = time.monotonic() + _DEADLINE
        with Redis.from_url(self.url) as client:
            while not _answers(client):
                if not self._process.running() or time.monotonic() > deadline:
                    pytest.fail(f"Redis does not start: {self._process.last_words()}")
                time.sleep(_POLL_INTERVAL)

    def stop(self) -> None:
        """Stop it; idempotent."""
        if self._process is not None:
            self._process.stop()
            self._process = None


def find_redis() -> str:
    """The program; a test that asks for it where there is none is skipped."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine: run bin/system-packages, or install one")
    return program


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False
