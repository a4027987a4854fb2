"""A state directory, and the lock that gives it to one process at a time."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from infra.errors import AlreadyRunningError, StartFailedError
from infra.redaction import register
from infra.settings import Settings

_SECRET_BYTES: Final = 32
_LEFTOVER_TIMEOUT: Final = 15.0


class Running(BaseModel):
    """What programs (such as the demo) may know of a running installation.

    Written to `ready.json` in the state directory, readable by its owner only, once everything
    answers, and removed on stop.
    """

    pid: int
    pids: dict[str, int]
    worker_pid: int | None = None
    api_url: str
    docs_url: str
    temporal_address: str
    temporal_namespace: str
    temporal_ui_url: str | None = None
    clips: str
    database_url: str
    database_owner_url: str | None = None
    tenant_id: str | None = None
    api_key: str | None = None


class StateDirectory:
    """The directory in which one installation keeps its data; a context manager that locks it.

    The lock is the kernel's (flock), so that it cannot go stale: it ends with its process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self._ready = path / "ready.json"
        self._owner = path / "owner.pid"
        self._lock = FileLock(path / "lock")

    def __enter__(self) -> Self:
        """Take the directory.

        Raises:
            AlreadyRunningError: another process has it.
            StartFailedError: it cannot be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._owner.write_text(str(os.getpid()))
            self._outwait_leftovers()
            self._ready.unlink(missing_ok=True)
        except Timeout:
            pid = self._owner.read_text().strip() if self._owner.exists() else "unknown"
            raise AlreadyRunningError(
                f"{self.path} is in use by another `highlights dev` (pid {pid}).",
                remedy="Stop that one first, or choose another directory by --state-dir.",
            ) from None
        except OSError as error:
            raise StartFailedError(
                f"{self.path} cannot be used: {error.strerror}.",
                remedy="Choose another directory by --state-dir or HIGHLIGHTS_HOME.",
            ) from error
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Give the directory back."""
        self._ready.unlink(missing_ok=True)
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def announce(self, running: Running) -> None:
        """Tell other programs what is running."""
        write_private(self._ready, running.model_dump_json(indent=2))

    def running(self) -> Running | None:
        """What runs on this directory now; None when nothing does."""
        announced = self._announced()
        return announced if announced and psutil.pid_exists(announced.pid) else None

    def _announced(self) -> Running | None:
        try:
            return Running.model_validate_json(self._ready.read_text())
        except (OSError, ValidationError):
            return None

    def _outwait_leftovers(self) -> None:
        """Give the children of a killed predecessor, told to stop by its death, time to do so."""
        announced = self._announced()
        if announced is None:
            return
        leftovers = []
        for pid in announced.pids.values():
            with suppress(psutil.NoSuchProcess):
                leftovers.append(psutil.Process(pid))
        psutil.wait_procs(leftovers, timeout=_LEFTOVER_TIMEOUT)

    def secret(self, name: str) -> str:
        """A random secret of this installation, made on first use."""
        path = self.path / "secrets" / name
        try:
            return path.read_text()
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{name}.lock")):
                if not path.exists():
                    write_private(path, secrets.token_hex(_SECRET_BYTES))
            return path.read_text()


def signing_secret(settings: Settings) -> bytes:
    """The secret that signs URLs and hashes keys: the one configured, else the installation's."""
    if settings.signing_secret is not None:
        return settings.signing_secret.get_secret_value().encode()
    secret = StateDirectory(settings.state_path()).secret("signing")
    register(secret)
    return secret.encode()


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
