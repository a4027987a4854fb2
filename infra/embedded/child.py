"""Child processes that end when we end, however we end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TETHER: Final = Path(__file__).with_name("tether.py")
_LOG_LIMIT: Final = 10 << 20
_TAIL_BYTES: Final = 4096


@dataclass(frozen=True)
class User:
    """The account a child runs as."""

    uid: int
    gid: int


def tethered(
    argv: Sequence[str],
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
    user: User | None = None,
) -> list[str]:
    """The command that runs `argv` so that it gets `stop_signal` when the calling thread dies."""
    account = user or User(-1, -1)
    numbers = (os.getpid(), int(stop_signal), account.uid, account.gid)
    return [sys.executable, "-I", "-S", str(_TETHER), *map(str, numbers), *argv]


class ChildProcess:
    """A program in a process group of its own, writing to a log file.

    Ctrl-C on the terminal does not reach it: whoever started it stops it, in the right order. On
    Linux it also gets `stop_signal` when the starting thread dies, even by `kill -9`.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: User | None = None,
        grace: float = 10.0,
    ) -> None:
        """Start it.

        Args:
            argv: the program and its arguments.
            log: file that takes its output; one of more than 10 MiB is moved aside first.
            env: its whole environment; ours when None.
            stop_signal: asks it to stop.
            user: account to run as; we must be root to choose.
            grace: seconds that it has to stop before its process group is killed.
        """
        self.log = log
        self._stop_signal = stop_signal
        self._grace = grace
        log.parent.mkdir(parents=True, exist_ok=True)
        _rotate(log)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                tethered(argv, stop_signal=stop_signal, user=user),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env) if env is not None else None,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self._process.pid

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait for its end; answers the exit code, negative for a signal."""
        return self._process.wait()

    def stop(self) -> None:
        """Ask it to stop, and when it has, or takes too long, kill its group; idempotent."""
        if self.running():
            self._process.send_signal(self._stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace)
        self.kill_group()

    def kill_group(self) -> None:
        """Kill it and whatever it left behind in its process group; idempotent."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        """The end of its log, for messages."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            return log.read().decode(errors="replace").strip()


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_name(f"{log.name}.1"))
