"""Recordings of one file, downloaded once and kept while they are read."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

from domain.ingest.playlist import Resource
from infra.media.hls_client import HlsSession, NotFoundError
from infra.media.recordings.archive import RecordingArchive, is_archive
from infra.media.recordings.local_recording import LocalRecording
from infra.media.recordings.media_file import is_media_file, segment_file
from infra.storage.segments import SegmentStore, UnknownKeyError

MAX_FILE_BYTES: Final = 4 << 30
"""Two and a half hours of 100ms's three qualities, 3.3 Mbit/s together."""

UPLOADED: Final = "upload:"
"""Prefix of the address of an uploaded file; its key in the segment store follows."""


def upload_key(*, tenant_id: UUID, stream_id: UUID) -> str:
    """Return the key in the segment store of a recording that was uploaded."""
    return f"{tenant_id}/{stream_id}/upload"


_KEPT: Final = 2
_SECONDS: Final = 900.0


def is_local(url: str) -> bool:
    """Return True if a recording is read from a file of ours: an archive, media, or an upload."""
    return url.startswith(UPLOADED) or is_archive(url) or is_media_file(url)


class RecordingCache:
    """Gets recordings, one at a time, and keeps the two used last.

    An open recording is unlinked from disk, so that its space is freed with its last reader, even
    if the process is killed.

    Args:
        store: provides scratch files, and has uploaded recordings.
        ffmpeg: the ffmpeg that cuts media files into segments.
    """

    def __init__(self, store: SegmentStore, *, ffmpeg: Path) -> None:
        self._store = store
        self._ffmpeg = ffmpeg
        self._recordings: OrderedDict[tuple[UUID, str], LocalRecording] = OrderedDict()
        self._lock = asyncio.Lock()

    async def get(self, address: str, *, stream_id: UUID, session: HlsSession) -> LocalRecording:
        """Return a stream's recording.

        Raises:
            FetchError: it cannot be downloaded, or is refused.
            UrlForbiddenError: the guard refuses the address or a redirect.
        """
        key = (stream_id, address)
        async with self._lock:
            if key not in self._recordings:
                self._recordings[key] = await self._open(address, session)
            self._recordings.move_to_end(key)
            while len(self._recordings) > _KEPT:
                self._recordings.popitem(last=False)  # closed with its last reader
            return self._recordings[key]

    def release(self, stream_id: UUID) -> None:
        """Drop a stream's recordings."""
        for key in [key for key in self._recordings if key[0] == stream_id]:
            del self._recordings[key]

    async def _open(self, address: str, session: HlsSession) -> LocalRecording:
        if address.startswith(UPLOADED):
            return await self._segmented(await self._uploaded(address), address)
        async with self._scratch() as file:
            await session.download(
                Resource(url=address), file, max_bytes=MAX_FILE_BYTES, seconds=_SECONDS
            )
            if is_archive(address):
                return await asyncio.to_thread(RecordingArchive, file, address=address)
            return await self._segmented(file, address)

    async def _uploaded(self, address: str) -> Path:
        try:
            return await self._store.path(address.removeprefix(UPLOADED))
        except UnknownKeyError:
            raise NotFoundError("the uploaded file is no longer stored") from None

    async def _segmented(self, file: Path, address: str) -> LocalRecording:
        async with self._scratch() as media, self._scratch() as playlist:
            return await segment_file(
                file,
                media,
                playlist,
                binary=self._ffmpeg,
                address=address,
                max_bytes=MAX_FILE_BYTES,
            )

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[Path]:
        """Make the path of a file, which is deleted in the end."""
        path = await self._store.scratch()
        try:
            yield path
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
