"""The record beside each stored segment: what it is, so that nobody has to look again."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from pydantic import ValidationError

from domain.media import SegmentRef
from domain.model import Model
from domain.playlist import ListedSegment
from domain.window import FetchedMedia, media_prefix
from infra.segment_store import SegmentStore, UnknownKeyError

_log = structlog.get_logger(__name__)

_SUFFIX: Final = ".json"


class StoredSegment(Model):
    """A stored segment as it was listed, measured and placed."""

    listed: ListedSegment
    media: FetchedMedia
    ref: SegmentRef

    def is_of(self, listed: ListedSegment) -> bool:
        """Tell whether it is the one listed; a signed URL's query may have changed since."""
        ours, theirs = self.listed, listed
        return (
            ours.sequence == theirs.sequence
            and ours.resource.byte_range == theirs.resource.byte_range
            and urlsplit(ours.resource.url).path == urlsplit(theirs.resource.url).path
        )


class StoredSegments:
    """The segments of one stream in the store."""

    def __init__(self, store: SegmentStore, *, tenant_id: UUID, stream_id: UUID) -> None:
        self._store = store
        self._prefix = media_prefix(tenant_id=tenant_id, stream_id=stream_id)

    async def note(self, segment: StoredSegment) -> None:
        """Record a segment that has been stored."""
        await self._store.put(segment.ref.key + _SUFFIX, segment.model_dump_json().encode())

    async def following(self, *, discontinuity: int, sequence: int) -> dict[int, StoredSegment]:
        """Return what is stored from a point of the playlist on, by media sequence."""
        found = {}
        for key in await self._store.list(self._prefix):
            if key.endswith(_SUFFIX) and _number(key) >= (discontinuity, sequence):
                segment = await self._read(key)
                if segment is not None and await self._store.exists(segment.ref.key):
                    found[segment.listed.sequence] = segment
        return found

    async def covering(self, start: float, end: float) -> list[SegmentRef]:
        """Return the stored segments that overlap `start`..`end` (s of media time), in order."""
        found = []
        for key in await self._store.list(self._prefix):
            if not key.endswith(_SUFFIX):
                continue
            segment = await self._read(key)
            if segment is None or segment.ref.end <= start or segment.ref.start >= end:
                continue
            if await self._store.exists(segment.ref.key):
                found.append(segment.ref)
        return sorted(found, key=lambda ref: ref.start)

    async def release(self, *, before: float | None) -> int:
        """Delete the segments that end before `before` seconds of media time, or all.

        Returns:
            How many segments were deleted.
        """
        if before is None:
            keys = await self._store.list(self._prefix)
            await self._store.delete_prefix(self._prefix)
            return sum(not key.endswith(_SUFFIX) for key in keys)
        released = 0
        unrecorded: list[str] = []
        keys = await self._store.list(self._prefix)
        recorded = {key.removesuffix(_SUFFIX) for key in keys if key.endswith(_SUFFIX)}
        for key in keys:
            if key.endswith(_SUFFIX):
                continue
            if key not in recorded:  # its writer was killed before it could note it
                unrecorded.append(key)
                continue
            segment = await self._read(key + _SUFFIX)
            if segment is not None and segment.ref.end > before:
                break  # names sort in the order of the timeline
            for each in (*unrecorded, key, key + _SUFFIX):
                await self._store.delete(each)
            released += 1 + len(unrecorded)
            unrecorded.clear()
        return released

    async def _read(self, key: str) -> StoredSegment | None:
        try:
            return StoredSegment.model_validate_json(await self._store.read(key))
        except UnknownKeyError:
            return None
        except ValidationError as error:
            _log.warning("segment_record_unreadable", key=key, problem=str(error)[:200])
            return None


def _number(key: str) -> tuple[int, int]:
    """Return discontinuity and media sequence out of a segment's key."""
    name = key.rpartition("/")[2].partition(".")[0]
    discontinuity, _, sequence = name.partition("-")
    return int(discontinuity), int(sequence)
