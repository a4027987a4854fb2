"""Parts of a segment (low-latency HLS), downloaded while the segment is being published."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

import structlog

from domain.ingest.low_latency import are_all_parts, blocked_timing, part_timing
from domain.ingest.messages import IngestLimits
from domain.ingest.playlist import (
    ListedSegment,
    MediaPlaylist,
    PartialSegment,
    Resource,
    SegmentPart,
)
from domain.ingest.retries import RequestTiming
from infra.media.hls_client import FetchError, MediaSource
from infra.ssrf import UrlForbiddenError
from infra.storage.segments import SegmentStore, StoreError

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 2


class PartCollector:
    """The parts of one segment; together they are the segment, byte by byte.

    If any of them is missing, the segment has to be requested by its own URL. Close it after use.

    Args:
        client: source of the parts.
        store: provides scratch files.
        sequence: media sequence number of the segment.
        limits: bounds on each request.
        target_duration: of the playlist, in seconds.
        hints: request the part that comes next before it is listed.

    Attributes:
        hint_failed: a hinted part could not be read.
    """

    def __init__(
        self,
        client: MediaSource,
        store: SegmentStore,
        *,
        sequence: int,
        limits: IngestLimits,
        target_duration: float,
        hints: bool,
    ) -> None:
        self.sequence = sequence
        self.hint_failed = False
        self._client = client
        self._store = store
        self._limits = limits
        self._target_duration = target_duration
        self._hints = hints
        self._hint: Resource | None = None
        self._downloads: dict[Resource, asyncio.Task[Path]] = {}
        self._all: tuple[SegmentPart, ...] = ()
        self._size = 0
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def update(self, partial: PartialSegment, *, hint: Resource | None) -> None:
        """Start to download what is listed and not requested yet, and the hinted part."""
        for part in partial.parts:
            self._take(part)
        if self._hint is not None and self._hint != hint:
            self._drop_hint(self._hint)
        if hint is not None and self._hints and hint not in self._downloads:
            self._hint = hint
            timing = blocked_timing(self._target_duration)
            self._downloads[hint] = asyncio.create_task(self._download(hint, timing))

    def finish(self, listed: ListedSegment, partial: PartialSegment | None) -> None:
        """Take the listed segment, whose parts are all published, as the goal."""
        parts = () if partial is None or partial.encrypted else partial.parts
        whole = are_all_parts(tuple(each.duration for each in parts), segment=listed.duration)
        if not whole or any(each.gap for each in parts) or listed.key is not None:
            return
        for part in parts:
            self._take(part)
        if self._hint is not None:
            self._drop_hint(self._hint)
        self._all = parts

    async def write(self, file: Path, *, prefix: bytes) -> int | None:
        """Write `prefix` and all parts to `file`; return the bytes written.

        Returns None if parts are missing, and always after the first call.
        """
        parts, self._all = self._all, ()
        if not parts:
            return None
        try:
            paths = [await self._downloads[each.resource] for each in parts]
            if self._size > self._limits.max_segment_bytes:
                return None
            return await asyncio.to_thread(_join, prefix, paths, file)
        except (FetchError, UrlForbiddenError, StoreError, OSError) as error:
            _log.info("segment_parts_unreadable", sequence=self.sequence, problem=str(error))
            return None

    async def settled(self) -> list[Path]:
        """Wait until all requests are answered; return the files of the successful ones."""
        outcomes = await asyncio.gather(*self._downloads.values(), return_exceptions=True)
        return [each for each in outcomes if isinstance(each, Path)]

    async def close(self) -> None:
        """Stop downloads and delete files."""
        for each in self._downloads.values():
            each.cancel()
        files = await self.settled()
        self._downloads.clear()
        for file in files:
            await asyncio.to_thread(file.unlink, missing_ok=True)

    def _take(self, part: SegmentPart) -> None:
        if part.gap:
            return
        if part.resource == self._hint:
            self._hint = None
            self._drop_if_failed(part.resource)
        if part.resource not in self._downloads:
            timing = part_timing(self._target_duration)
            self._downloads[part.resource] = asyncio.create_task(
                self._download(part.resource, timing)
            )

    def _drop_hint(self, hint: Resource) -> None:
        """Stop waiting for a part that does not come, or not at this place."""
        self._hint = None
        if not self._drop_if_failed(hint):
            self._downloads[hint].cancel()

    def _drop_if_failed(self, hint: Resource) -> bool:
        download = self._downloads[hint]
        failed = download.done() and not download.cancelled() and download.exception() is not None
        if failed:
            self.hint_failed, self._hints = True, False
            del self._downloads[hint]
        return failed

    async def _download(self, resource: Resource, timing: RequestTiming) -> Path:
        async with self._slots:
            file = await self._store.scratch()
            self._size += await self._client.download(
                resource,
                file,
                max_bytes=max(self._limits.max_segment_bytes - self._size, 0),
                seconds=timing.total,
                idle=timing.idle,
            )
            return file


class PartFollower:
    """Collects the parts of the segment that a live playlist lists next. Close it after use.

    Args:
        client: source of the parts.
        store: provides scratch files.
        limits: bounds on each request.
    """

    def __init__(self, client: MediaSource, store: SegmentStore, *, limits: IngestLimits) -> None:
        self._client = client
        self._store = store
        self._limits = limits
        self._hints = True
        self._next: PartCollector | None = None
        self._dropped: list[PartCollector] = []
        self._claimed: set[PartCollector] = set()

    async def follow(self, playlist: MediaPlaylist, sequence: int) -> None:
        """Download what the playlist lists of the segment with this number."""
        while self._dropped:
            await self._dropped.pop().close()
        partial = playlist.parts_of(sequence)
        if partial is None or partial.encrypted or playlist.ended:
            return
        if self._next is None:
            self._next = PartCollector(
                self._client,
                self._store,
                sequence=sequence,
                limits=self._limits,
                target_duration=playlist.target_duration,
                hints=self._hints,
            )
        self._next.update(partial, hint=playlist.preload_hint)

    def claim(self, segment: ListedSegment, playlist: MediaPlaylist | None) -> PartCollector | None:
        """Return the parts of a segment that is listed now; None if they were not collected.

        A segment that is declared missing has none. `discard` what is returned.
        """
        parts, self._next = self._next, None
        if parts is None:
            return None
        self._hints = self._hints and not parts.hint_failed
        if playlist is None or parts.sequence != segment.sequence or segment.declared_gap:
            self._dropped.append(parts)
            return None
        parts.finish(segment, playlist.parts_of(segment.sequence))
        self._claimed.add(parts)
        return parts

    def drop(self) -> None:
        """Forget the parts of the next segment, as another session begins."""
        if self._next is not None:
            self._dropped.append(self._next)
            self._next = None

    async def discard(self, parts: PartCollector) -> None:
        """Delete what is left of claimed parts."""
        self._claimed.discard(parts)
        await parts.close()

    async def close(self) -> None:
        """Stop all downloads and delete their files."""
        self.drop()
        for each in (*self._dropped, *self._claimed):
            await each.close()


def _join(prefix: bytes, paths: list[Path], file: Path) -> int:
    with file.open("wb") as output:
        output.write(prefix)
        for path in paths:
            with path.open("rb") as part:
                shutil.copyfileobj(part, output)
        return output.tell()
