"""Processes and TCP ports of the embedded stack: restarts what dies, finds and checks ports."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Protocol

import structlog

from infra.errors import PortTakenError, StartFailedError


def free_ports(count: int, host: str = "127.0.0.1") -> tuple[int, ...]:
    """Return distinct ports that are free now. Use them immediately."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return tuple(int(each.getsockname()[1]) for each in sockets)


def require_free(port: int, *, purpose: str, setting: str, host: str = "127.0.0.1") -> None:
    """Check that a port can be listened on.

    Args:
        port: the port.
        purpose: what it is for, in the message.
        setting: the option or variable that changes it, in the message.
        host: the address to listen on.

    Raises:
        PortTakenError: another program listens there, or permission is denied.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(
                f"Port {port} on {host}, for {purpose}, cannot be used: {error.strerror}.",
                remedy=f"Stop the program that uses it, or choose another port by {setting}.",
            ) from error


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Return True if something accepts connections on a port."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


_POLL_INTERVAL: Final = 0.1


_FIRST_DELAY: Final = 0.1


_LONGEST_DELAY: Final = 30.0


_STABLE_AFTER: Final = 10.0


_LEAST_SPACE: Final = 1 << 20


logger = structlog.get_logger(__name__)


class Service(Protocol):
    """A child process that the supervisor restarts."""

    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""

    def running(self) -> bool:
        """Return True if the process has not ended."""

    def wait(self) -> int:
        """Wait for the process to end. Return its exit code."""

    def stop(self) -> None:
        """Stop the process and wait until it has ended."""

    def last_words(self) -> str:
        """Return the log line with the reason of its end."""


class Supervised:
    """One service, restarted when it dies, with exponential backoff."""

    def __init__(
        self,
        name: str,
        start: Callable[[], Service],
        *,
        on_restart: Callable[[], None] = lambda: None,
        first_delay: float = _FIRST_DELAY,
    ) -> None:
        """Start it for the first time.

        Args:
            name: in the log.
            start: starts it; called on this thread, since it is bound to its life.
            on_restart: called after each restart.
            first_delay: seconds before the first restart.
        """
        self.name = name
        self._start = start
        self._on_restart = on_restart
        self._first_delay = first_delay
        self._service = start()

    @property
    def pid(self) -> int:
        """Process id of the present incarnation."""
        return self._service.pid

    def require_running(self) -> None:
        """Check that the service runs.

        Raises:
            StartFailedError: it has ended.
        """
        if not self._service.running():
            code = self._service.wait()
            raise StartFailedError(
                f"The {self.name} ended with code {code} while starting: "
                f"{self._service.last_words() or 'it gave no reason.'}",
                remedy=f"Its log is {self._service.log}.",
            )

    async def keep_running(self) -> None:
        """Restart the service whenever it dies, until cancelled.

        No error of this service (a full disk, a removed directory) ends the loop, since that would
        stop the other services.
        """
        delay = self._first_delay
        clock = asyncio.get_running_loop().time
        started = clock()
        while True:
            await asyncio.sleep(_POLL_INTERVAL)
            if self._service.running():
                continue
            if clock() - started > _STABLE_AFTER:
                delay = self._first_delay
            await self._clean_up(restart_in=delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
            started = clock()
            self._restart()

    async def _clean_up(self, *, restart_in: float) -> None:
        """Log the end of a process, and stop what is left of its process group."""
        code, reason = self._service.wait(), ""
        with suppress(OSError):
            reason = self._service.last_words()
            await asyncio.to_thread(self._service.stop)
            if shutil.disk_usage(self._service.log.parent).free < _LEAST_SPACE:
                reason = f"no space left on the disk of {self._service.log.parent}; {reason}"
        _warn("service_died", service=self.name, code=code, reason=reason, restart_in=restart_in)

    def _restart(self) -> None:
        try:
            self._service = self._start()
        except Exception as error:  # noqa: BLE001 - tried again, whatever it is
            _warn("service_not_restarted", service=self.name, reason=str(error))
            return
        _warn("service_restarted", service=self.name, pid=self._service.pid)
        with suppress(OSError):
            self._on_restart()

    async def stop(self) -> None:
        """End it; call it after `keep_running` was cancelled."""
        await asyncio.to_thread(self._service.stop)


def _warn(event: str, **details: object) -> None:
    """Log, if that is possible: our own output may go to the disk that is full."""
    with suppress(OSError):
        logger.warning(event, **details)
