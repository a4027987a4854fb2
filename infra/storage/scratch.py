"""Temporary files that do not outlive their process for long, even when it is killed.

Whoever writes holds a lock on what it writes (flock(2), released by the kernel at the latest when
the process ends). What is there without a lock belongs to a dead process and can go.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "highlights-clip-"
_LOCK: Final = ".lock"
_SETTLING: Final = 1.0
"""Seconds within which the writer of a new file has surely locked it."""

_UNLOCKED_AGE: Final = 86_400.0
"""Seconds after which a directory without a lock file goes: a version without locks made it."""


@contextmanager
def scratch_directory(parent: Path | None = None) -> Iterator[Path]:
    """Make a directory under `parent`, by default the system's, and delete it in the end."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True) as name,
        locked(Path(name) / _LOCK),
    ):
        yield Path(name)


def sweep_scratch(parent: Path | None = None) -> int:
    """Delete the scratch directories of dead processes under `parent`; return how many."""
    deleted = 0
    for directory in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        lock = directory / _LOCK
        dead = is_abandoned(lock) if lock.is_file() else _age(directory) > _UNLOCKED_AGE
        if dead:
            shutil.rmtree(directory, ignore_errors=True)
            deleted += not directory.exists()
    return deleted


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Create `path` if need be and hold its lock."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_abandoned(path: Path) -> bool:
    """Return True if no process holds the lock of a file that has been there for a moment."""
    if _age(path) < _SETTLING:
        return False
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        return True
    return False


def _age(path: Path) -> float:
    with suppress(OSError):
        return time.time() - path.stat().st_mtime
    return 0.0
