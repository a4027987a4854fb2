"""Child processes that end with this process, however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_DIE_WITH_PARENT: Final = Path(__file__).with_name("die_with_parent.py")
_LOG_LIMIT: Final = 10 << 20
_TAIL_BYTES: Final = 64 << 10
_REASON_LENGTH: Final = 300
_ERROR_LEVELS: Final = frozenset({"error", "critical", "fatal", "panic"})
_HEADING: Final = re.compile(r"error [a-z_]+")  # of our own commands; the sentence comes next
_SEVERE: Final = re.compile(r"\b(?:FATAL|PANIC): +(.*)|^(?:error|Error): (.*)", re.MULTILINE)


@dataclass(frozen=True)
class User:
    """The account a child runs as."""

    uid: int
    gid: int


def die_with_parent(
    argv: Sequence[str],
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
    user: User | None = None,
    niceness: int = 0,
) -> list[str]:
    """The command that runs `argv` so that it gets `stop_signal` when the calling thread dies.

    `niceness` is added to ours.
    """
    account = user or User(-1, -1)
    numbers = (os.getpid(), int(stop_signal), account.uid, account.gid, niceness)
    return [sys.executable, "-I", "-S", str(_DIE_WITH_PARENT), *map(str, numbers), *argv]


class ChildProcess:
    """A program in its own process group, writing to a log file.

    Ctrl-C on the terminal does not reach it: its parent stops it, in the right order. On
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
        self._log_start = 0
        with _writable(log) as output:
            self._log_start = output.tell() if output.seekable() else 0
            self._process = subprocess.Popen(
                die_with_parent(argv, stop_signal=stop_signal, user=user),
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
        """Wait for its end; return the exit code, negative for a signal."""
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
        """Return the log line with the reason of its end, in at most 300 characters.

        It is empty when the process wrote nothing. An earlier process's errors, which are in the
        same file, do not count.
        """
        try:
            with self.log.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._log_start, end), end - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError as error:
            return f"its log cannot be read ({error.strerror})"
        return _reason(text)[:_REASON_LENGTH]


def _reason(text: str) -> str:
    """Return the most informative line: the last severe one, else the last in plain words."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line, following in zip(reversed(lines), ["", *reversed(lines)], strict=False):
        if severe := (following if _HEADING.fullmatch(line) else _severe(line)):
            return severe
    return next((line for line in reversed(lines) if not line.startswith("{")), "")


def _severe(line: str) -> str | None:
    """Return what a line reports as an error, in JSON or in the words of PostgreSQL; else None."""
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:
            return None
        if str(entry.get("level", "")).lower() not in _ERROR_LEVELS:
            return None
        parts = (entry.get("msg") or entry.get("message"), entry.get("error"))
        return ": ".join(str(part) for part in parts if part)
    found = _SEVERE.search(line)
    return (found[1] or found[2]) if found else None


@contextmanager
def _writable(log: Path) -> Iterator[IO[bytes]]:
    """Open a log to append to; output is discarded where that fails, as on a full disk."""
    with ExitStack() as stack:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            _rotate(log)
            output = stack.enter_context(log.open("ab"))
        except OSError:
            output = stack.enter_context(Path(os.devnull).open("ab"))
        yield output


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_name(f"{log.name}.1"))
