"""The archives of recordings that a worker has at hand: downloaded once, a few at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final
from uuid import UUID

from domain.playlist import Resource
from infra.hls_client import HlsSession
from infra.recording_archive import RecordingArchive
from infra.segment_store import SegmentStore

MAX_ARCHIVE_BYTES: Final = 4 << 30
"""Two and a half hours of 100ms's three qualities, 3.3 Mbit/s together."""

_KEPT: Final = 2
_SECONDS: Final = 900.0


class ArchiveShelf:
    """Downloads archives, one at a time, and keeps the last two for the pieces to come.

    An archive has no name on disk once it is open, so that it goes with its last reader, even one
    that is killed.

    Args:
        store: whose scratch space receives the archives.
    """

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self._archives: OrderedDict[tuple[UUID, str], RecordingArchive] = OrderedDict()
        self._lock = asyncio.Lock()

    async def get(self, address: str, *, stream_id: UUID, session: HlsSession) -> RecordingArchive:
        """Return the archive at an address, of a stream's recording.

        Raises:
            FetchError: it is not to be had, or refused.
            UrlForbiddenError: the guard refuses the address or a redirect.
        """
        key = (stream_id, address)
        async with self._lock:
            if key not in self._archives:
                self._archives[key] = await self._download(address, session)
            self._archives.move_to_end(key)
            while len(self._archives) > _KEPT:
                self._archives.popitem(last=False)  # closed with its last reader
            return self._archives[key]

    def release(self, stream_id: UUID) -> None:
        """Let go of a stream's archives."""
        for key in [key for key in self._archives if key[0] == stream_id]:
            del self._archives[key]

    async def _download(self, address: str, session: HlsSession) -> RecordingArchive:
        file = await self._store.scratch()
        try:
            await session.download(
                Resource(url=address), file, max_bytes=MAX_ARCHIVE_BYTES, seconds=_SECONDS
            )
            return await asyncio.to_thread(RecordingArchive, file, address=address)
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)
