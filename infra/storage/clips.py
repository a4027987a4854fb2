"""Where finished clips live: one file per name, whole or absent."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Final, Protocol
from uuid import uuid4

from infra.storage.scratch import is_abandoned, locked

_PARTIAL: Final = ".partial"


class ClipStoreError(Exception):
    """A name that leads out of the store, or a file that cannot be stored."""


class ClipStore(Protocol):
    """The door to finished clips."""

    async def put(self, key: str, source: Path) -> None:
        """Store the file at `source` under `key`, replacing what was there, atomically."""

    async def delete(self, key: str) -> None:
        """Remove `key`; what is not there needs no removing."""


class LocalClipStore:
    """Clips in a directory of this machine, served by the API through signed URLs."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    @property
    def root(self) -> Path:
        """The directory that holds all clips."""
        return self._root

    def path(self, key: str) -> Path:
        """Return where `key` lies on disk, whether or not it exists.

        Raises:
            ClipStoreError: `key` is absolute, empty or leads out of the store.
        """
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or "\x00" in key:
            message = f"{key!r} is no name of a clip: use a relative path without '..'"
            raise ClipStoreError(message)
        return self._root.joinpath(*parts)

    async def put(self, key: str, source: Path) -> None:
        """Store the file at `source` under `key`: copied beside the others, then renamed.

        Raises:
            ClipStoreError: `key` leads out of the store.
            OSError: the disk refused, for example because it is full; nothing is left behind.
        """
        await asyncio.to_thread(self._put, self.path(key), source)

    async def delete(self, key: str) -> None:
        """Remove `key`; what is not there needs no removing."""
        await asyncio.to_thread(self.path(key).unlink, missing_ok=True)

    def sweep(self) -> int:
        """Delete the partial files of killed processes; return how many."""
        abandoned = [file for file in (self._root / _PARTIAL).glob("*") if is_abandoned(file)]
        for file in abandoned:
            file.unlink(missing_ok=True)
        return len(abandoned)

    def _put(self, target: Path, source: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = self._root / _PARTIAL / uuid4().hex
        partial.parent.mkdir(exist_ok=True)
        try:
            with locked(partial):
                shutil.copyfile(source, partial)
                with partial.open("rb") as stored:
                    os.fsync(stored.fileno())
                partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
