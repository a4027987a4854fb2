"""Where finished clips live: one file per name, whole or absent."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Protocol
from uuid import UUID, uuid4

from domain.media.segments import StoredObject
from infra.storage.directories import folder_names, stored_objects
from infra.storage.media_types import media_type
from infra.storage.s3 import LONGEST_URL, S3Bucket, S3ObjectMissingError
from infra.storage.scratch import is_abandoned, locked
from infra.storage.signed_urls import CloudFrontLinks

_PARTIAL: Final = ".partial"


class ClipStoreError(Exception):
    """A name that leads out of the store, or a file that cannot be stored."""


class ClipStore(Protocol):
    """Finished clips by key: `{tenant}/{stream}/{clip}.mp4`."""

    async def put(self, key: str, source: Path) -> None:
        """Store the file at `source` under `key`, replacing what was there, atomically."""

    async def delete(self, key: str) -> None:
        """Remove `key`; what is not there needs no removing."""

    async def delete_prefix(self, prefix: str) -> int:
        """Remove everything whose key begins with `prefix`, a directory; return how many files."""

    async def locate(self, key: str, *, expires: int, head: bool = False) -> Path | str:
        """Return where clients read `key`: a file to serve, or a URL to redirect them to.

        Args:
            key: of a clip or thumbnail; nothing need be stored under it.
            expires: Unix time (s) until which a URL works, if seven days allow.
            head: the URL is for HEAD; others are for GET.
        """

    async def fetch(self, key: str, directory: Path) -> Path:
        """Return a file with what is stored under `key`, downloaded to `directory` if need be.

        Raises:
            FileNotFoundError: nothing is stored under `key`.
        """

    async def objects(self, *, tenant_id: UUID, stream_id: UUID) -> Sequence[StoredObject]:
        """Return everything that is stored of a stream."""

    async def stream_names(self, tenant_id: UUID) -> Sequence[str]:
        """Return the ids of the tenant's streams of which something is stored."""

    def sweep(self) -> int:
        """Delete the partial files of killed processes; return how many."""


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
        return self._root.joinpath(*PurePosixPath(_checked(key)).parts)

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

    async def delete_prefix(self, prefix: str) -> int:
        """Remove a directory with all files in it; return how many there were."""
        return await asyncio.to_thread(self._delete_below, self.path(prefix))

    async def locate(self, key: str, *, expires: int, head: bool = False) -> Path | str:  # noqa: ARG002
        """Return the file of `key`, whether or not it exists.

        Raises:
            ClipStoreError: `key` leads out of the store.
        """
        return self.path(key)

    async def fetch(self, key: str, directory: Path) -> Path:  # noqa: ARG002
        """Return the file of `key` itself."""
        path = self.path(key)
        if not await asyncio.to_thread(path.is_file):
            raise FileNotFoundError(key)
        return path

    async def objects(self, *, tenant_id: UUID, stream_id: UUID) -> Sequence[StoredObject]:
        """Return everything that is stored of a stream."""
        prefix = f"{tenant_id}/{stream_id}"
        return await asyncio.to_thread(stored_objects, self._root, prefix)

    async def stream_names(self, tenant_id: UUID) -> Sequence[str]:
        """Return the ids of the tenant's streams of which something is stored."""
        return await asyncio.to_thread(folder_names, self._root / str(tenant_id))

    def sweep(self) -> int:
        """Delete the partial files of killed processes; return how many."""
        abandoned = [file for file in (self._root / _PARTIAL).glob("*") if is_abandoned(file)]
        for file in abandoned:
            file.unlink(missing_ok=True)
        return len(abandoned)

    @staticmethod
    def _delete_below(directory: Path) -> int:
        files = [each for each in directory.rglob("*") if each.is_file()]
        for file in files:
            file.unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
        return len(files)

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


# Nothing else is ever stored under a clip's key. A day bounds what a CDN keeps of a deleted clip.
_CACHED: Final = "public, max-age=86400, immutable"


class S3ClipStore:
    """Clips in S3, downloaded from there or from a CDN before it.

    Args:
        bucket: where the objects are.
        cdn: signs URLs of the CDN; None for those of S3.
        clock: Unix time, in seconds.
    """

    def __init__(
        self,
        bucket: S3Bucket,
        *,
        cdn: CloudFrontLinks | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bucket = bucket
        self._cdn = cdn
        self._clock = clock

    async def put(self, key: str, source: Path) -> None:
        """Store the file at `source` under `key`, verified by its checksum.

        Raises:
            ClipStoreError: `key` is no name of a clip.
            S3Error: S3 refused; nothing else than before is stored.
        """
        await self._bucket.put(
            _checked(key),
            source,
            verify=True,
            ContentType=media_type(key),
            ContentDisposition=f'inline; filename="{PurePosixPath(key).name}"',
            CacheControl=_CACHED,
        )

    async def delete(self, key: str) -> None:
        """Remove `key`; what is not there needs no removing."""
        await self._bucket.delete([_checked(key)])

    async def delete_prefix(self, prefix: str) -> int:
        """Remove all objects whose keys begin with `prefix`; return how many there were."""
        names = await self._bucket.list(_checked(prefix))
        await self._bucket.delete(names)
        await self._bucket.abort_uploads(prefix)
        return len(names)

    async def locate(self, key: str, *, expires: int, head: bool = False) -> Path | str:
        """Return a signed URL of `key`."""
        if self._cdn is not None:
            return self._cdn.sign(_checked(key), expires=expires)
        seconds = min(max(1, math.ceil(expires - self._clock())), LONGEST_URL)
        return await self._bucket.presigned_url(_checked(key), seconds=seconds, head=head)

    async def fetch(self, key: str, directory: Path) -> Path:
        """Download what is stored under `key` to `directory`."""
        target = directory / PurePosixPath(_checked(key)).name
        try:
            await self._bucket.download(_checked(key), target)
        except S3ObjectMissingError as error:
            raise FileNotFoundError(key) from error
        return target

    async def objects(self, *, tenant_id: UUID, stream_id: UUID) -> Sequence[StoredObject]:
        """Return everything that is stored of a stream; a thousand per request."""
        return await self._bucket.objects(f"{tenant_id}/{stream_id}/")

    async def stream_names(self, tenant_id: UUID) -> Sequence[str]:
        """Return the ids of the tenant's streams of which something is stored."""
        return await self._bucket.folders(f"{tenant_id}/")

    def sweep(self) -> int:
        """Do nothing: the next upload, or a lifecycle rule, deletes parts of unfinished ones."""
        return 0


def _checked(key: str) -> str:
    parts = PurePosixPath(key).parts
    if not parts or key.startswith("/") or ".." in parts or "\x00" in key:
        message = f"{key!r} is no name of a clip: use a relative path without '..'"
        raise ClipStoreError(message)
    return key
