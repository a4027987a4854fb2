"""`highlights dev` as a child process of a test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.state_directory import Running, StateDirectory

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 120.0
STOP_TIMEOUT = 60.0


def command(*arguments: str) -> list[str]:
    """The command line of `highlights`."""
    return [sys.executable, "-m", "app.cli", *arguments]


@contextmanager
def dev(
    state: Path, *, log: Path, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], Running]]:
    """Run it on free ports until the block ends; `settings` are environment variables."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command("dev", "--free-ports", "--state-dir", str(state)),
            cwd=ROOT,
            env={**os.environ, **(settings or {})},
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield process, wait_until_ready(process, state, log)
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT)


def wait_until_ready(process: subprocess.Popen[bytes], state: Path, log: Path) -> Running:
    """Wait until everything answers, or fail with what it said."""
    deadline = time.monotonic() + START_TIMEOUT
    while (running := StateDirectory(state).running()) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return running
