"""Where stream media lives between ingest, analysis and rendering."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final, Protocol
from uuid import uuid4

_SCRATCH: Final = ".scratch"
_KEY_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class UnknownKeyError(KeyError):
    """Nothing is stored under the key; it was never written, or its retention is over."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"nothing is stored under {self.key!r}: never written, or released since"


class SegmentStore(Protocol):
    """Objects by key, each written whole or not at all.

    A key is a relative path of plain names: `{tenant}/{stream}/media/...`.
    """

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what was there."""

    async def adopt(self, key: str, file: Path) -> None:
        """Store a finished file under `key`, taking it from its place (see `scratch`)."""

    async def scratch(self) -> Path:
        """Return the path of a new file, not yet there, to write to before `adopt`."""

    async def path(self, key: str) -> Path:
        """Return a local path to read `key` at; raises `UnknownKeyError`."""

    async def read(self, key: str) -> bytes:
        """Return what is stored under `key`; raises `UnknownKeyError`."""

    async def exists(self, key: str) -> bool:
        """Tell whether something is stored under `key`."""

    async def list(self, prefix: str) -> Sequence[str]:
        """Return the keys that start with `prefix`, sorted."""

    async def delete(self, key: str) -> None:
        """Delete `key`; deleting what is not there is no error."""

    async def delete_prefix(self, prefix: str) -> None:
        """Delete every key that starts with `prefix`."""

    async def sweep(self, *, older_than: float) -> None:
        """Delete scratch files that have not been written for `older_than` seconds."""


_ATTEMPTS: Final = 100
"""Times that a directory is made again which others delete meanwhile; each of them does so once."""


class LocalSegmentStore:
    """A segment store in a directory of this machine.

    Writes go to a scratch file of the same file system and are renamed into place, so that a
    reader never sees half an object. They are not fsynced: after a power cut the worst is a lost
    segment, which ingest records as a gap, and a sync per segment would cost more than that.

    Args:
        root: the directory; made when the first object is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what was there."""
        file = await self.scratch()
        try:
            await asyncio.to_thread(file.write_bytes, data)
            await self.adopt(key, file)
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    async def adopt(self, key: str, file: Path) -> None:
        """Store a finished file under `key`, taking it from its place."""
        await asyncio.to_thread(_move, file, self._locate(key))

    async def scratch(self) -> Path:
        """Return the path of a new file, not yet there, to write to before `adopt`."""
        directory = self._root / _SCRATCH
        await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
        return directory / uuid4().hex

    async def path(self, key: str) -> Path:
        """Return the path of `key`; raises `UnknownKeyError`."""
        path = self._locate(key)
        if not await asyncio.to_thread(path.is_file):
            raise UnknownKeyError(key)
        return path

    async def read(self, key: str) -> bytes:
        """Return what is stored under `key`; raises `UnknownKeyError`."""
        try:
            return await asyncio.to_thread(self._locate(key).read_bytes)
        except FileNotFoundError:
            raise UnknownKeyError(key) from None

    async def exists(self, key: str) -> bool:
        """Tell whether something is stored under `key`."""
        return await asyncio.to_thread(self._locate(key).is_file)

    async def list(self, prefix: str) -> Sequence[str]:
        """Return the keys that start with `prefix`, sorted."""
        return await asyncio.to_thread(self._list, prefix)

    async def delete(self, key: str) -> None:
        """Delete `key`; deleting what is not there is no error."""
        await asyncio.to_thread(self._delete, [key])

    async def delete_prefix(self, prefix: str) -> None:
        """Delete every key that starts with `prefix`, and directories left empty by that."""
        await asyncio.to_thread(lambda: self._delete(self._list(prefix)))

    async def sweep(self, *, older_than: float) -> None:
        """Delete scratch files not written for `older_than` seconds: a killed writer's."""
        await asyncio.to_thread(self._sweep, older_than)

    def _locate(self, key: str) -> Path:
        parts = key.split("/")
        if not all(_KEY_PART.fullmatch(part) for part in parts):
            raise ValueError(f"not a key: {key!r}; use plain names joined by '/'")
        return self._root.joinpath(*parts)

    def _list(self, prefix: str) -> Sequence[str]:
        directory, _, _ = prefix.rpartition("/")
        top = self._locate(directory) if directory else self._root
        keys = []
        for parent, directories, files in os.walk(top):
            directories[:] = [name for name in directories if name != _SCRATCH]
            keys += [(Path(parent) / name).relative_to(self._root).as_posix() for name in files]
        return sorted(key for key in keys if key.startswith(prefix))

    def _delete(self, keys: Sequence[str]) -> None:
        parents: set[PurePath] = set()
        for key in keys:
            path = self._locate(key)
            path.unlink(missing_ok=True)
            parents.update(path.relative_to(self._root).parents)
        for parent in sorted(parents, key=lambda each: len(each.parts), reverse=True):
            if parent.parts:
                with suppress(OSError):  # not empty, or gone already
                    (self._root / parent).rmdir()

    def _sweep(self, older_than: float) -> None:
        oldest = time.time() - older_than
        for file in (self._root / _SCRATCH).glob("*"):
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < oldest:
                    file.unlink()


def _move(source: Path, target: Path) -> None:
    """Rename into place; a directory removed by a concurrent deletion is made again."""
    for _ in range(_ATTEMPTS):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        except FileNotFoundError:
            if not source.exists():
                raise
        except OSError:  # another file system: copy beside the target, then rename
            partial = target.with_name(f".{uuid4().hex}")
            shutil.copyfile(source, partial)
            partial.replace(target)
            source.unlink()
            return
        else:
            return
    raise FileNotFoundError(f"cannot create {target.parent}")
