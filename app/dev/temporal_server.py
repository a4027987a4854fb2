"""A Temporal development server as a child process, with its data in one SQLite file."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from app.dev.ports import accepts
from app.dev.temporal_binary import TemporalBinary
from infra.child_process import ChildProcess
from infra.errors import StartFailedError
from infra.state_directory import usable

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
