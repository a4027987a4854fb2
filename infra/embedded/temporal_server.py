"""A Temporal development server as a child process, with its data in one SQLite file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from infra.embedded.child import ChildProcess
from infra.embedded.ports import accepts
from infra.embedded.temporal_binary import TemporalBinary
from infra.errors import StartFailedError

HOST: Final = "127.0.0.1"
SEARCH_ATTRIBUTES: Final = ("TenantId", "StreamId", "Game", "StreamStatus", "StreamTitle")
# Priority needs the new matcher, and fairness between tenants is off by default.
_DYNAMIC_CONFIG: Final = ("matching.useNewMatcher=true", "matching.enableFairness=true")
_START_TIMEOUT: Final = 60.0
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
        """
        self.address = f"{HOST}:{port}"
        self.ui_url = f"http://{HOST}:{ui_port}" if ui_port is not None else None
        self._port = port
        argv = [str(binary.path), "server", "start-dev", "--ip", HOST, "--port", str(port)]
        argv += ["--ui-port", str(ui_port)] if ui_port is not None else ["--headless"]
        argv += ["--log-level", "warn", "--log-format", "json"]
        if database is not None:
            argv += ["--db-filename", str(database)]
        for value in _DYNAMIC_CONFIG:
            argv += ["--dynamic-config-value", value]
        for name in SEARCH_ATTRIBUTES:
            argv += ["--search-attribute", f"{name}=Keyword"]
        for namespace in namespaces:
            argv += ["--namespace", namespace]
        super().__init__(argv, log=log)

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
                    remedy=f"See {self.log}; if its database is damaged, remove it.",
                )
            time.sleep(_POLL_INTERVAL)
