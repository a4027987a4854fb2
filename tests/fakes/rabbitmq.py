"""A real RabbitMQ of this test process, that can be stopped and started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.dev.supervisor import accepts, free_ports
from infra.child_process import ChildProcess

_STARTS_WITHIN: Final = 120.0
_PROGRAMS: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
#: Debian's program on PATH changes to an account of its own; this is the one behind it.
_UNWRAPPED: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_CONFIGURATION: Final = """\
listeners.tcp.1 = 127.0.0.1:{port}
vm_memory_high_watermark.absolute = 256MB
disk_free_limit.absolute = 1MB
log.console = true
log.console.level = warning
log.file = false
"""


def program() -> Path | None:
    """Return the server's program, or None when it is not installed."""
    if _UNWRAPPED.exists():
        return _UNWRAPPED
    found = shutil.which("rabbitmq-server")
    return Path(found) if found else None


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so that no event tells of."""
    while not await check():  # noqa: ASYNC110 - another process decides when
        await asyncio.sleep(0.02)


class Broker:
    """A node with a home, a name, ports and a name service of its own; what it stores lasts.

    Args:
        server: the program.
        root: an empty directory.
    """

    def __init__(self, server: Path, root: Path) -> None:
        self._server = server
        self._root = root
        self._port, self._distribution, self._names = free_ports(3)
        (root / "rabbitmq.conf").write_text(_CONFIGURATION.format(port=self._port))
        (root / "enabled_plugins").write_text("[].")
        # Started by the node itself, the name service would outlive it.
        self._name_service = self._child(
            shutil.which("epmd") or "epmd", "-address", "127.0.0.1", "-port", str(self._names)
        )
        self._node: ChildProcess | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Start the node, and wait until it accepts connections."""
        node = self._node = self._child(str(self._server))
        deadline = time.monotonic() + _STARTS_WITHIN
        while not accepts(self._port):
            if not node.running() or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ does not start: {node.last_words()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the node; its durable queues and their messages stay."""
        if self._node is not None:
            self._node.stop()
            self._node = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let the node hold its connections open and answer nothing while the context lasts."""
        if self._node is None:
            raise RuntimeError("the node does not run")
        os.killpg(self._node.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._node.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop everything."""
        self.stop()
        self._name_service.stop()

    def _child(self, *argv: str) -> ChildProcess:
        return ChildProcess(argv, log=self._root / "broker.log", env=self._environment())

    def _environment(self) -> dict[str, str]:
        root = str(self._root)
        return {
            "PATH": _PROGRAMS,
            "HOME": root,
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names),
            "RABBITMQ_NODENAME": "highlights@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": f"{root}/data",
            "RABBITMQ_LOG_BASE": f"{root}/log",
            "RABBITMQ_PID_FILE": f"{root}/pid",
            "RABBITMQ_CONFIG_FILE": f"{root}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{root}/enabled_plugins",
            # One scheduler that sleeps when idle, and no port open to other machines.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none "
            "-kernel inet_dist_use_interface {127,0,0,1}",
        }
