"""A state directory, and the lock that gives it to one process at a time."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
_SECRET: Final = re.compile(r"[0-9a-f]{64}")
_LEFTOVER_TIMEOUT: Final = 15.0
_DIRECTORIES: Final = ("logs", "pg", "secrets", "segments", "clips")


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

    Attributes:
        path: the directory.
        logs: where the parts write their logs.
        gate: locked while the servers start; worker and API begin to work once it is free.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self._ready = path / "ready.json"
        self._owner = path / "owner.pid"
        self.gate = path / "starting.lock"
        self._lock_file = path / "lock"
        self._lock = FileLock(self._lock_file)

    def __enter__(self) -> Self:
        """Take the directory; files of ours that an unclean end has damaged are put in order.

        Raises:
            AlreadyRunningError: another process has it.
            StartFailedError: it cannot be written to, or a file is where a directory belongs.
        """
        with usable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for name in _DIRECTORIES:
                _require_directory(self.path / name)
            for file in (self._ready, self._owner, self._lock_file, self.gate):
                move_aside_directory(file)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise self._in_use() from None
            try:
                self._owner.write_text(str(os.getpid()))
                self._outwait_leftovers()
                self._ready.unlink(missing_ok=True)
            except BaseException:
                self._lock.release()
                raise
        return self

    def _in_use(self) -> AlreadyRunningError:
        pid = "unknown"
        with suppress(OSError, UnicodeDecodeError):
            pid = self._owner.read_text().strip() or pid
        return AlreadyRunningError(
            f"{self.path} is in use by another `highlights dev` (pid {pid}).",
            remedy="Stop that one first, or choose another directory by --state-dir.",
        )

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Release the directory."""
        for file in (self._ready, self._owner):
            with suppress(OSError):
                file.unlink(missing_ok=True)
        self._lock.release()

    def announce(self, running: Running) -> None:
        """Write `ready.json` for other programs."""
        write_private(self._ready, running.model_dump_json(indent=2))

    def running(self) -> Running | None:
        """What runs on this directory now; None when nothing does."""
        announced = self._announced()
        return announced if announced and psutil.pid_exists(announced.pid) else None

    def _announced(self) -> Running | None:
        try:
            return Running.model_validate_json(self._ready.read_bytes())
        except (OSError, ValidationError):
            return None

    def _outwait_leftovers(self) -> None:
        """Wait for the children of a killed predecessor to stop."""
        announced = self._announced()
        if announced is None:
            return
        announced_at = self._ready.stat().st_mtime
        leftovers = []
        for pid in announced.pids.values():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                # After a restart of the machine the number belongs to another program.
                if process.create_time() <= announced_at:
                    leftovers.append(process)
        psutil.wait_procs(leftovers, timeout=_LEFTOVER_TIMEOUT)

    def secret(self, name: str) -> str:
        """Return a random secret of this installation, created on first use.

        Raises:
            StartFailedError: its file is damaged. It is not replaced: keys, links and stored
                secrets that were made with the old one would stop working.
        """
        path = self.path / "secrets" / name
        with usable(path):
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with FileLock(path.with_name(f".{name}.lock")):
                    if not path.exists():
                        write_private(path, secrets.token_hex(_SECRET_BYTES))
            text = path.read_text(errors="replace").strip()
        if not _SECRET.fullmatch(text):
            raise StartFailedError(
                f"The secret in {path} is damaged: it is not {2 * _SECRET_BYTES} hexadecimal "
                "digits.",
                remedy="Restore the file from a backup. Or delete it, and a new secret is created: "
                "API keys, signed links and stored webhook secrets made with it stop working.",
            )
        return text


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Turn an operating system error about `path`, or a file below it, into a sentence.

    Raises:
        StartFailedError: with the file and what is wrong.
    """
    try:
        yield
    except OSError as error:
        named = error.filename2 or error.filename or path
        raise StartFailedError(
            f"{named} cannot be used: {error.strerror or error}.",
            remedy="Check the file, its permissions and the free space of its disk, or choose "
            "another directory by --state-dir or HIGHLIGHTS_HOME.",
        ) from error


def move_aside_directory(path: Path) -> None:
    """Rename a directory that stands where a file of ours belongs."""
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{path.name}.aside-{secrets.token_hex(4)}"))


def _require_directory(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise StartFailedError(
            f"{path} is a file, but must be a directory.",
            remedy="Move the file away, or choose another directory by --state-dir.",
        )


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
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
