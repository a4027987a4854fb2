"""A bounded cache on the local disk of media whose store is remote."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import uuid4

from infra.storage.scratch import scratch_directory, sweep_scratch

_READ_TIME: Final = 60.0


@dataclass
class _CachedFile:
    path: Path
    size: int
    used_at: float


class MediaCache:
    """Local files by key, of which the least recently used are deleted first.

    Each process has its own directory under `root`, which is deleted when the process closes
    the cache, or else by the next process that uses `root`. Nothing is shared between processes,
    so nothing has to be locked: a process that starts reads its first media from the store.

    Args:
        root: parent of the directories; made on first use.
        max_bytes: bytes that are kept. More are kept as long as they were used within `read_time`.
        read_time: seconds for which a returned path stays readable.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int,
        read_time: float = _READ_TIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._read_time = read_time
        self._clock = clock
        self._files: OrderedDict[str, _CachedFile] = OrderedDict()
        self._bytes = 0
        self._loading: dict[str, asyncio.Task[Path]] = {}
        self._directory: Path | None = None
        self._opening = asyncio.Lock()
        self._closing = AsyncExitStack()

    async def path(self, key: str, load: Callable[[Path], Awaitable[None]]) -> Path:
        """Return the local file of `key`, which `load` writes if it is not cached.

        Concurrent calls for a key share one load, which goes on if its callers are canceled.

        Raises:
            Exception: whatever `load` raised, to all who waited for it; nothing is cached.
        """
        cached = self._files.get(key)
        if cached is not None and await asyncio.to_thread(cached.path.is_file):
            self._touch(key)
            return cached.path
        task = self._loading.get(key)
        if task is None:
            task = asyncio.create_task(self._load(key, load))
            self._loading[key] = task
            task.add_done_callback(lambda done: self._loaded(key, done))
        return await asyncio.shield(task)

    async def add(self, key: str, file: Path) -> None:
        """Cache a finished file under `key`, taking it from its place (see `scratch`)."""
        path = await self._locate(key)
        size = await asyncio.to_thread(_move, file, path)
        replaced = self._files.pop(key, None)
        if replaced is not None:
            self._bytes -= replaced.size
        self._files[key] = _CachedFile(path, size, self._clock())
        self._bytes += size
        await self._evict()

    async def discard(self, keys: Iterable[str]) -> None:
        """Delete the files of `keys`; keys that are not cached are ignored."""
        await self._delete([key for key in keys if key in self._files])

    async def scratch(self) -> Path:
        """Return the path of a new file on the cache's disk, to write to before `add`."""
        return await self._open() / f"{uuid4().hex}.partial"

    async def close(self) -> None:
        """Delete the cached files."""
        loading = list(self._loading.values())
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
        self._files.clear()
        self._bytes = 0
        self._directory = None
        await self._closing.aclose()

    async def _load(self, key: str, load: Callable[[Path], Awaitable[None]]) -> Path:
        file = await self.scratch()
        try:
            await load(file)
            await self.add(key, file)
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)
        return await self._locate(key)

    def _loaded(self, key: str, task: asyncio.Task[Path]) -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # retrieved here in case that no caller is left

    def _touch(self, key: str) -> None:
        cached = self._files.get(key)
        if cached is not None:
            cached.used_at = self._clock()
            self._files.move_to_end(key)

    async def _evict(self) -> None:
        readable_from = self._clock() - self._read_time
        size = self._bytes
        evicted = []
        for key, cached in self._files.items():
            if size <= self._max_bytes or cached.used_at > readable_from:
                break
            evicted.append(key)
            size -= cached.size
        await self._delete(evicted)

    async def _delete(self, keys: Iterable[str]) -> None:
        deleted = [self._files.pop(key) for key in keys]
        self._bytes -= sum(each.size for each in deleted)
        if deleted:
            await asyncio.to_thread(_unlink, [each.path for each in deleted])

    async def _locate(self, key: str) -> Path:
        """Return where `key` is cached: readers learn a file's format from its suffix."""
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return await self._open() / (name + PurePosixPath(key).suffix)

    async def _open(self) -> Path:
        async with self._opening:
            if self._directory is None:
                await asyncio.to_thread(sweep_scratch, self._root)
                context = scratch_directory(self._root)
                self._directory = await asyncio.to_thread(context.__enter__)
                self._closing.push(context.__exit__)
            return self._directory


def _move(source: Path, target: Path) -> int:
    source.replace(target)
    return target.stat().st_size


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
