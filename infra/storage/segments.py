"""Where stream media lives between ingest, analysis and rendering."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final, Protocol
from uuid import UUID, uuid4

import structlog

from domain.media.segments import StoredObject, media_to_evict
from infra.storage.cache import MediaCache
from infra.storage.directories import folder_names, stored_objects
from infra.storage.media_types import media_type
from infra.storage.s3 import LONGEST_URL, S3Bucket, S3ObjectMissingError

_SCRATCH: Final = ".scratch"
_KEY_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class UnknownKeyError(KeyError):
    """Nothing is stored under the key; it was never written, or its retention is over."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"nothing is stored under {self.key!r}: never written, or released since"


class StoreError(Exception):
    """The store did not take a write; the message is for the stream's owner."""


class StoreFullError(StoreError):
    """The store has no space left."""

    def __init__(self) -> None:
        super().__init__(
            "Our media store is full; we are making room. Segments that leave the playlist "
            "before that are recorded as gaps."
        )


class StoreUnavailableError(StoreError):
    """The store cannot be written."""

    def __init__(self) -> None:
        super().__init__(
            "Our media store cannot be written; we are trying again. Segments that leave the "
            "playlist before that are recorded as gaps."
        )


def store_error(error: Exception) -> StoreError | None:
    """Return what an error says about the store; None if it is about something else."""
    if isinstance(error, StoreError):
        return error
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError):
        return None
    return StoreFullError() if error.errno in _FULL else StoreUnavailableError()


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


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

    async def locate(self, key: str, *, expires: int) -> Path | str:
        """Return where clients read `key`: a file to serve, or a URL to redirect them to.

        A file exists (else `UnknownKeyError` is raised); behind a URL nothing need be stored. The
        URL works until the Unix time `expires` (s), if seven days allow.
        """

    async def read(self, key: str) -> bytes:
        """Return what is stored under `key`; raises `UnknownKeyError`."""

    async def exists(self, key: str) -> bool:
        """Tell whether something is stored under `key`."""

    async def list(self, prefix: str) -> Sequence[str]:
        """Return the keys that start with `prefix`, sorted."""

    async def objects(self, *, tenant_id: UUID, stream_id: UUID) -> Sequence[StoredObject]:
        """Return everything that is stored of a stream."""

    async def stream_names(self, tenant_id: UUID) -> Sequence[str]:
        """Return the ids of the tenant's streams of which something is stored."""

    async def delete(self, *keys: str) -> None:
        """Delete keys; deleting what is not there is no error."""

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every key that starts with `prefix`; return how many there were."""

    async def sweep(self, *, older_than: float) -> None:
        """Delete scratch files that have not been written for `older_than` seconds."""

    async def shed(self) -> int:
        """Delete the media that is least needed, since the store is full; return the bytes."""


_SHED_SHARE: Final = 10
"""Part of what is stored that goes at a time: one in ten bytes."""

_SHED_AT_LEAST: Final = 4 << 20
_SHED_PAUSE: Final = 0.3
_NOTHING_SHED_PAUSE: Final = 2.0
_SHED_SCRATCH_AFTER: Final = 300.0
_MEDIA: Final = "media"
_log = structlog.get_logger(__name__)

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
        self._shedding = asyncio.Lock()
        self._shed_again_at = 0.0

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what was there."""
        await asyncio.to_thread(self._put, await self.scratch(), data, self._locate(key))

    async def adopt(self, key: str, file: Path) -> None:
        """Store a finished file under `key`, taking it from its place."""
        await asyncio.to_thread(_move, file, self._locate(key))

    async def scratch(self) -> Path:
        """Return the path of a new file, not yet there, to write to before `adopt`."""
        directory = self._root / _SCRATCH
        # A thread would cost more than what a call without data takes.
        directory.mkdir(parents=True, exist_ok=True)
        return directory / uuid4().hex

    async def path(self, key: str) -> Path:
        """Return the path of `key`; raises `UnknownKeyError`."""
        path = self._locate(key)
        if not path.is_file():
            raise UnknownKeyError(key)
        return path

    async def locate(self, key: str, *, expires: int) -> Path | str:  # noqa: ARG002
        """Return the file of `key`; raises `UnknownKeyError`."""
        return await self.path(key)

    async def read(self, key: str) -> bytes:
        """Return what is stored under `key`; raises `UnknownKeyError`."""
        try:
            return await asyncio.to_thread(self._locate(key).read_bytes)
        except FileNotFoundError:
            raise UnknownKeyError(key) from None

    async def exists(self, key: str) -> bool:
        """Tell whether something is stored under `key`."""
        return self._locate(key).is_file()

    async def list(self, prefix: str) -> Sequence[str]:
        """Return the keys that start with `prefix`, sorted."""
        return await asyncio.to_thread(self._list, prefix)

    async def objects(self, *, tenant_id: UUID, stream_id: UUID) -> Sequence[StoredObject]:
        """Return everything that is stored of a stream."""
        prefix = f"{tenant_id}/{stream_id}"
        return await asyncio.to_thread(stored_objects, self._root, prefix)

    async def stream_names(self, tenant_id: UUID) -> Sequence[str]:
        """Return the ids of the tenant's streams of which something is stored."""
        return await asyncio.to_thread(folder_names, self._root / str(tenant_id))

    async def delete(self, *keys: str) -> None:
        """Delete keys; deleting what is not there is no error."""
        await asyncio.to_thread(self._delete, keys)

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every key that starts with `prefix`, and directories left empty by that."""

        def delete() -> int:
            keys = self._list(prefix)
            self._delete(keys)
            return len(keys)

        return await asyncio.to_thread(delete)

    async def sweep(self, *, older_than: float) -> None:
        """Delete scratch files not written for `older_than` seconds: a killed writer's."""
        await asyncio.to_thread(self._sweep, older_than)

    async def shed(self) -> int:
        """Delete the least needed media (`domain.streams.ledger`); return the bytes freed.

        Calls that come together, or soon after another, share one deletion.
        """
        async with self._shedding:
            if time.monotonic() < self._shed_again_at:
                return 0
            freed = await asyncio.to_thread(self._shed)
            pause = _SHED_PAUSE if freed else _NOTHING_SHED_PAUSE
            self._shed_again_at = time.monotonic() + pause
        _log.warning("store_shed", bytes=freed)
        return freed

    @staticmethod
    def _put(file: Path, data: bytes, target: Path) -> None:
        try:
            file.write_bytes(data)
            _move(file, target)
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def _shed(self) -> int:
        self._sweep(_SHED_SCRATCH_AFTER)
        objects = self._objects()
        target = max(sum(each.size for each in objects) // _SHED_SHARE, _SHED_AT_LEAST)
        shed = media_to_evict(objects, target=target)
        self._delete([each.key for each in shed])
        return sum(each.size for each in shed)

    def _objects(self) -> Sequence[StoredObject]:
        """Return all stored media, `{tenant}/{stream}/media/...`, with what stands beside it."""
        return [each for each in stored_objects(self._root) if each.key.split("/", 3)[2] == _MEDIA]

    def _locate(self, key: str) -> Path:
        return self._root.joinpath(*_checked(key).split("/"))

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


class S3SegmentStore:
    """A segment store in S3, with the media that this process reads and writes in a local cache.

    Args:
        bucket: where the objects are.
        cache: local copies of media, which never changes under its key. What `read` returns is
            always fetched.
    """

    def __init__(self, bucket: S3Bucket, cache: MediaCache) -> None:
        self._bucket = bucket
        self._cache = cache

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what was there."""
        await self._bucket.put(_checked(key), data, ContentType=media_type(key))
        await self._cache.discard([key])

    async def adopt(self, key: str, file: Path) -> None:
        """Store a finished file under `key`, and move it into the cache."""
        await self._bucket.put(_checked(key), file, ContentType=media_type(key))
        await self._cache.add(key, file)

    async def scratch(self) -> Path:
        """Return the path of a new file of the cache's disk, to write to before `adopt`."""
        return await self._cache.scratch()

    async def path(self, key: str) -> Path:
        """Return the path of a local copy of `key`; raises `UnknownKeyError`."""
        try:
            return await self._cache.path(
                key, lambda target: self._bucket.download(_checked(key), target)
            )
        except S3ObjectMissingError:
            raise UnknownKeyError(key) from None

    async def locate(self, key: str, *, expires: int) -> Path | str:
        """Return a presigned URL of `key`."""
        seconds = min(max(1, math.ceil(expires - time.time())), LONGEST_URL)
        return await self._bucket.presigned_url(_checked(key), seconds=seconds)

    async def read(self, key: str) -> bytes:
        """Return what is stored under `key`; raises `UnknownKeyError`."""
        try:
            return await self._bucket.read(_checked(key))
        except S3ObjectMissingError:
            raise UnknownKeyError(key) from None

    async def exists(self, key: str) -> bool:
        """Tell whether something is stored under `key`."""
        return await self._bucket.exists(_checked(key))

    async def list(self, prefix: str) -> Sequence[str]:
        """Return the keys that start with `prefix`, sorted; a thousand per request."""
        return await self._bucket.list(prefix)

    async def objects(self, *, tenant_id: UUID, stream_id: UUID) -> Sequence[StoredObject]:
        """Return everything that is stored of a stream; a thousand per request."""
        return await self._bucket.objects(f"{tenant_id}/{stream_id}/")

    async def stream_names(self, tenant_id: UUID) -> Sequence[str]:
        """Return the ids of the tenant's streams of which something is stored."""
        return await self._bucket.folders(f"{tenant_id}/")

    async def delete(self, *keys: str) -> None:
        """Delete keys; deleting what is not there is no error."""
        await self._delete([_checked(key) for key in keys])

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every key that starts with `prefix`; return how many there were."""
        keys = await self._bucket.list(prefix)
        await self._delete(keys)
        return len(keys)

    async def sweep(self, *, older_than: float) -> None:
        """Do nothing: the cache deletes the files of a killed process."""

    async def shed(self) -> int:
        """Delete nothing: S3 does not fill."""
        return 0

    async def _delete(self, keys: Sequence[str]) -> None:
        await self._bucket.delete(keys)
        await self._cache.discard(keys)


def _checked(key: str) -> str:
    if not all(_KEY_PART.fullmatch(part) for part in key.split("/")):
        raise ValueError(f"not a key: {key!r}; use plain names joined by '/'")
    return key


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
            try:
                shutil.copyfile(source, partial)
                partial.replace(target)
            except OSError:
                partial.unlink(missing_ok=True)
                raise
            source.unlink()
            return
        else:
            return
    raise FileNotFoundError(f"cannot create {target.parent}")
