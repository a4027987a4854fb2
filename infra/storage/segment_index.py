"""Stored segments of a stream, found by an index of one object per minute of media."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import count, pairwise
from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from pydantic import ValidationError

from domain.ingest.playlist import ListedSegment
from domain.ingest.window import FetchedMedia, index_key, index_prefix, media_prefix
from domain.media.segments import Line, SegmentRef
from domain.model import Model
from domain.streams.messages import LONG_PLAYLIST
from infra.storage.segments import SegmentStore, StoreError, UnknownKeyError

_log = structlog.get_logger(__name__)

_MOST_UNWRITTEN: Final = 4
"""Segments of a long playlist after which the index is written: eight seconds as a rule."""

_FLUSH_TIMEOUT: Final = 2.0
"""Seconds: less than a heartbeat timeout, since the fetch is over and sends no more of them."""

_LONGEST_HOLE: Final = 16
"""Segments that a killed writer may have stored without a record, at most."""

_MINUTE: Final = 60.0

_CONCURRENT_LOOKS: Final = 8

_LOOK_AHEAD: Final = 6
"""Minutes by which a stream may be further than its last record says: see `RECORDED_SECONDS`."""

_CAPTIONS_PER_MINUTE: Final = 400

_LOOK_BACK: Final = 18
"""Minutes that are read at once: those that a stream keeps, and those ahead."""


class StoredSegment(Model):
    """A stored segment as it was listed, measured and placed."""

    listed: ListedSegment
    media: FetchedMedia
    ref: SegmentRef

    def is_of(self, listed: ListedSegment) -> bool:
        """Return True if it is the listed segment; the query of a signed URL may have changed."""
        ours, theirs = self.listed, listed
        return (
            ours.sequence == theirs.sequence
            and ours.resource.byte_range == theirs.resource.byte_range
            and urlsplit(ours.resource.url).path == urlsplit(theirs.resource.url).path
        )


class IndexedMinute(Model):
    """Index object: the stored segments that start in one minute of media time.

    `captions` came with them; they may belong to the minute before.
    """

    segments: tuple[StoredSegment, ...] = ()
    captions: tuple[Line, ...] = ()


class StoredSegments:
    """The segments of one stream in the store, and their index.

    The index has one object per minute of media time, so that every reader knows the keys it needs
    and none lists the store. It is written after each segment that the playlist lists for a short
    time only, after every fourth one otherwise, and by `flush`. What a killed worker had stored and
    not indexed is downloaded again while the playlist lists it.
    """

    def __init__(self, store: SegmentStore, *, tenant_id: UUID, stream_id: UUID) -> None:
        self._store = store
        self._tenant_id = tenant_id
        self._stream_id = stream_id
        self._minute: int | None = None
        self._indexed: dict[str, StoredSegment] = {}
        self._unwritten: set[str] = set()
        self._captions: tuple[Line, ...] = ()
        self._new_captions: list[Line] = []

    def note_captions(self, lines: Iterable[Line]) -> None:
        """Add captions that came with the latest segments; they are written with the next one."""
        self._new_captions += lines

    async def captions(self, start: float, end: float) -> list[Line]:
        """Return the captions that are shown within `start`..`end` (s of media time), in order."""
        # They come up to a minute late.
        minutes = range(max(_minute(start) - 1, 0), _minute(end) + 2)
        found = {
            (line.at, line.text): line
            for minute in await asyncio.gather(*map(self._read_minute, minutes))
            for line in minute.captions
            if line.until > start and line.at < end
        }
        return [line for _, line in sorted(found.items())]

    async def note(self, segment: StoredSegment, *, listed: float = LONG_PLAYLIST) -> None:
        """Add a segment that has been stored to the index.

        Args:
            segment: the segment.
            listed: seconds of media that its playlist lists.

        Raises:
            StoreError: the index was due to be written, and the store refused it.
        """
        minute = _minute(segment.ref.start)
        if minute != self._minute:
            await self.write()
            known = await self._read_minute(minute)
            self._indexed = {each.ref.key: each for each in known.segments}
            self._captions = known.captions
            self._minute = minute
        self._indexed[segment.ref.key] = segment
        self._unwritten.add(segment.ref.key)
        if listed < LONG_PLAYLIST or len(self._unwritten) >= _MOST_UNWRITTEN:
            await self.write()

    async def write(self) -> None:
        """Write the index up to the last segment.

        Raises:
            StoreError: the store refused it.
        """
        if self._minute is None or not (self._unwritten or self._new_captions):
            return
        captions = (*self._captions, *self._new_captions)[-_CAPTIONS_PER_MINUTE:]
        minute = IndexedMinute(segments=tuple(self._indexed.values()), captions=captions)
        data = minute.model_dump_json(exclude_defaults=True).encode()
        await self._store.put(self._key(self._minute), data)
        self._unwritten.clear()
        self._captions, self._new_captions = captions, []

    async def flush(self) -> None:
        """Write the index up to the last segment; a refused write is left to the next one."""
        try:
            async with asyncio.timeout(_FLUSH_TIMEOUT):
                await self.write()
        except (StoreError, OSError) as error:
            _log.warning("segment_index_not_written", segments=len(self._unwritten), cause=error)

    async def following(
        self, position: float, *, discontinuity: int, sequence: int
    ) -> dict[int, StoredSegment]:
        """Return the segments stored from a point of the playlist on, by media sequence.

        Args:
            position: seconds of media time at which the first of them starts.
            discontinuity: its discontinuity sequence.
            sequence: its media sequence.
        """
        found = {}
        first = _minute(position)
        for minute in count(first):
            segments = await self._read(minute)
            if not segments and minute > first:
                break
            for each in segments:
                number = (each.ref.discontinuity_sequence, each.listed.sequence)
                if number >= (discontinuity, sequence) and await self._store.exists(each.ref.key):
                    found[each.listed.sequence] = each
        return found

    async def covering(self, start: float, end: float) -> list[SegmentRef]:
        """Return the stored segments that overlap `start`..`end` (s of media time), in order."""
        minutes = range(max(_minute(start) - 1, 0), _minute(end) + 1)
        indexed = [
            each.ref
            for minute in await asyncio.gather(*map(self._read, minutes))
            for each in minute
            if each.ref.end > start and each.ref.start < end
        ]
        return sorted(await self.existing(indexed), key=lambda ref: ref.start)

    async def existing(self, segments: Sequence[SegmentRef]) -> list[SegmentRef]:
        """Return those of these segments that are stored; a full store may have deleted some."""
        slots = asyncio.Semaphore(_CONCURRENT_LOOKS)

        async def exists(segment: SegmentRef) -> bool:
            async with slots:
                return await self._store.exists(segment.key)

        found = await asyncio.gather(*map(exists, segments))
        return [segment for segment, is_there in zip(segments, found, strict=True) if is_there]

    async def kept(self, *, near: float) -> list[SegmentRef]:
        """Return all segments that are stored, in order.

        Args:
            near: seconds of media time near the newest segment: at most `_LOOK_AHEAD` minutes
                before it.
        """
        newest = _minute(near) + _LOOK_AHEAD
        first = max(newest - _LOOK_BACK, 0)
        minutes = list(await asyncio.gather(*map(self._read, range(first, newest + 1))))
        while minutes[0] and first > 0:  # twice as many each time: a recording has hours
            earlier = range(max(first - len(minutes), 0), first)
            minutes[:0] = await asyncio.gather(*map(self._read, earlier))
            first = earlier.start
        refs = sorted(
            (each.ref for minute in minutes for each in minute), key=lambda ref: ref.start
        )
        # The index names deleted segments until all of their minute are deleted.
        for number, ref in enumerate(refs):
            if await self._store.exists(ref.key):
                return refs[number:]
        return []

    async def indexed(self, keys: Iterable[str]) -> list[SegmentRef]:
        """Return all segments that the index names, in order, without a look at their objects.

        Args:
            keys: of all objects of the stream, from a listing of the store.
        """
        prefix = index_prefix(tenant_id=self._tenant_id, stream_id=self._stream_id)
        minutes = [int(PurePath(key).stem) for key in keys if key.startswith(prefix)]
        found = [each.ref for minute in sorted(minutes) for each in await self._read(minute)]
        return sorted(found, key=lambda ref: ref.start)

    async def release(self, *, before: float | None, after: float = 0.0) -> None:
        """Delete the segments that end before a media time (s), or everything for None.

        Args:
            before: what ends later is kept.
            after: media time up to which an earlier release has deleted; what that one left behind
                is deleted too.
        """
        if before is None:
            await self._store.delete_prefix(
                media_prefix(tenant_id=self._tenant_id, stream_id=self._stream_id)
            )
            return
        found = []
        for minute in range(_minute(before), -1, -1):
            segments = await self._read(minute)
            # A segment can end in the minute after that of its start.
            if not segments and minute < _minute(after) - 1:
                break
            found.append((minute, segments))
        for minute, segments in reversed(found):  # oldest first: what is left stays reachable
            ended = [each for each in segments if each.ref.end <= before]
            for key in _keys_with_unrecorded(ended):
                await self._store.delete(key)
            if segments and len(ended) == len(segments) and before >= (minute + 1) * _MINUTE:
                await self._store.delete(self._key(minute))

    async def _read(self, minute: int) -> Sequence[StoredSegment]:
        return (await self._read_minute(minute)).segments

    async def _read_minute(self, minute: int) -> IndexedMinute:
        key = self._key(minute)
        try:
            return IndexedMinute.model_validate_json(await self._store.read(key))
        except UnknownKeyError:
            return IndexedMinute()
        except ValidationError as error:
            _log.warning("segment_index_unreadable", key=key, problem=str(error)[:200])
            return IndexedMinute()

    def _key(self, minute: int) -> str:
        return index_key(tenant_id=self._tenant_id, stream_id=self._stream_id, minute=minute)


def _minute(position: float) -> int:
    """Return the minute of media time in which a position (s) lies."""
    return int(position // _MINUTE)


def _keys_with_unrecorded(segments: Iterable[StoredSegment]) -> Sequence[str]:
    """Return the keys of segments, and those that their numbers leave out.

    A worker that was killed may have stored those without an index. Most were never stored;
    deleting them costs nothing.
    """
    ordered = sorted((each.ref for each in segments), key=lambda ref: ref.start)
    keys = [ref.key for ref in ordered]
    for ref, following in pairwise(ordered):
        first, last = ref.media_sequence, following.media_sequence
        if following.key == _renumbered(ref, last) and last - first <= _LONGEST_HOLE:
            keys += (_renumbered(ref, number) for number in range(first + 1, last))
    return keys


def _renumbered(ref: SegmentRef, sequence: int) -> str:
    """Return the key that a segment would have with another media sequence."""
    return ref.key.replace(f"-{ref.media_sequence:010d}.", f"-{sequence:010d}.")
