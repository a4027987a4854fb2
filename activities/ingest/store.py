"""Stored segments of a stream with their metadata, and retried writes to the segment store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from pydantic import ValidationError

from domain.ingest.playlist import ListedSegment
from domain.ingest.window import FetchedMedia, media_prefix
from domain.media.segments import SegmentRef
from domain.model import Model
from domain.streams.status import ProblemCode, StreamProblem
from infra.storage.segments import (
    SegmentStore,
    StoreError,
    StoreFullError,
    UnknownKeyError,
    store_error,
)

T = TypeVar("T")


_CODES: Final = frozenset({ProblemCode.STORE_FULL, ProblemCode.STORE_UNAVAILABLE})


_FIRST_DELAY: Final = 0.2


_LONGEST_DELAY: Final = 2.0


_log = structlog.get_logger(__name__)


class StoreGuard:
    """Retries writes that the store refuses, and frees space in a full store.

    Args:
        store: the store.
        problem: the store's problem that was reported last, if any.

    Attributes:
        problem: current problem of the store; None after a successful write.
    """

    def __init__(self, store: SegmentStore, *, problem: StreamProblem | None = None) -> None:
        self._store = store
        is_ours = problem is not None and problem.code in _CODES
        self.problem = problem if is_ours else None

    async def run(
        self,
        write: Callable[[], Awaitable[T]],
        *,
        still_wanted: Callable[[], bool],
        on_refusal: Callable[[StoreError], None] | None = None,
        is_written: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """Run a step that writes to the store until it succeeds.

        Args:
            write: the step; it may run many times.
            still_wanted: returns True while the step is worth another attempt.
            on_refusal: called for each refusal.
            is_written: returns True if the result proves a successful write.

        Raises:
            StoreError: the store refused until the step was no longer wanted.
        """
        delay = _FIRST_DELAY
        while True:
            try:
                result = await write()
            except (StoreError, OSError) as error:
                failure = store_error(error)
                if failure is None:  # a fault of the network, say
                    raise
                await self._note(failure, cause=error)
                if on_refusal is not None:
                    on_refusal(failure)
                if not still_wanted():
                    raise failure from error
            else:
                if is_written(result):
                    self.problem = None
                return result
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _note(self, failure: StoreError, *, cause: Exception) -> None:
        code = ProblemCode.STORE_UNAVAILABLE
        if isinstance(failure, StoreFullError):
            code = ProblemCode.STORE_FULL
            try:
                await self._store.shed()
            except OSError:
                _log.exception("store_not_shed")
        if self.problem is None or self.problem.code is not code:
            _log.warning("store_refuses", code=code.value, cause=str(cause))
        self.problem = StreamProblem(code=code, message=str(failure))


_SUFFIX: Final = ".json"


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


class StoredSegments:
    """The segments of one stream in the store."""

    def __init__(self, store: SegmentStore, *, tenant_id: UUID, stream_id: UUID) -> None:
        self._store = store
        self._prefix = media_prefix(tenant_id=tenant_id, stream_id=stream_id)

    async def note(self, segment: StoredSegment) -> None:
        """Record a segment that has been stored."""
        await self._store.put(segment.ref.key + _SUFFIX, segment.model_dump_json().encode())

    async def following(self, *, discontinuity: int, sequence: int) -> dict[int, StoredSegment]:
        """Return the segments stored from a point of the playlist on, by media sequence."""
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
        """Delete the segments that end before a media time (s), or all for None.

        Returns:
            The number of deleted segments.
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
