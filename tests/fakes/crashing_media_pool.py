"""A pool of media processes whose decoder crashes on marked media."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

from infra.media.pool import MediaCrashed, MediaPool

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CRASHING: Final = b"\x47\x1f\xff\x10" + b"crash the decoder".ljust(184, b"\xff")
"""A null packet of a transport stream: real decoders pass over it, that of this pool dies."""


class CrashingMediaPool(MediaPool):
    """Runs tasks in real child processes, which die of SIGSEGV at a file that holds `CRASHING`.

    Attributes:
        crashes: tasks that ended so.
    """

    def __init__(self, *, processes: int) -> None:
        super().__init__(processes=processes, memory_bytes=2 << 30, cpu_seconds=30, timeout=30.0)
        self.crashes = 0

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` in a child."""
        try:
            return await super().run(_run_or_crash, fn, args)
        except MediaCrashed:
            self.crashes += 1
            raise


def _run_or_crash(fn: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
    if any(CRASHING in path.read_bytes() for path in _files(args)):
        os.kill(os.getpid(), signal.SIGSEGV)
    return fn(*args)


def _files(value: object) -> list[Path]:
    """Return the files that arguments name."""
    if isinstance(value, tuple):
        return [path for each in value for path in _files(each)]
    if isinstance(value, str | Path):
        return [Path(value)] if Path(value).is_file() else []
    return _files(getattr(value, "path", None) or ())
