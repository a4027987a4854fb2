"""Fetching one segment: with retries while the origin may have it, verified before it counts."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from domain.ingest import IngestLimits
from domain.media import GapReason
from domain.playlist import ListedSegment, Resource
from domain.request_timing import SegmentTiming, segment_timing
from domain.window import FetchedMedia
from infra.hls_client import (
    DamagedError,
    FetchError,
    NotFoundError,
    RefusedError,
    TooLargeError,
)
from infra.media_pool import MediaError, MediaPool
from infra.media_probe import UndecodableError, probe
from infra.media_source import MediaSource
from infra.segment_store import SegmentStore
from infra.url_guard import UrlForbiddenError

_log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 8
_REFUSED_ATTEMPTS: Final = 5
_CORRUPT_ATTEMPTS: Final = 2
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 4.0
_MAX_INITIALIZATION_BYTES: Final = 1 << 20
_REMEMBERED_INITIALIZATIONS: Final = 64


@dataclass(frozen=True)
class Fetched:
    """A segment whose media was verified; `file` is where it lies, None when already stored."""

    listed: ListedSegment
    media: FetchedMedia
    file: Path | None


@dataclass(frozen=True)
class Lost:
    """A segment that could not be had."""

    listed: ListedSegment
    reason: GapReason
    detail: str


class _FailedAttempt(Exception):  # noqa: N818 carries a verdict, not an error
    def __init__(
        self,
        reason: GapReason,
        detail: str,
        *,
        attempts: int,
        patience: float = 0.0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.attempts = attempts
        self.patience = patience
        self.retry_after = retry_after


class SegmentFetcher:
    """Fetches and verifies the segments of one stream.

    What it caches (initialization sections) came with this stream's cookies, and serves no other.

    Args:
        client: where segments are read from.
        store: whose scratch space receives the files.
        pool: where media is looked into.
    """

    def __init__(self, client: MediaSource, store: SegmentStore, pool: MediaPool) -> None:
        self._client = client
        self._store = store
        self._pool = pool
        self._initializations: OrderedDict[tuple[Resource, int], bytes] = OrderedDict()
        self._reading_initialization = asyncio.Lock()

    async def fetch(
        self,
        listed: ListedSegment,
        *,
        limits: IngestLimits,
        still_listed: Callable[[], bool],
        timing: SegmentTiming | None = None,
        encoding: int = 0,
    ) -> Fetched | Lost:
        """Fetch a segment, trying again with growing delays while the playlist still lists it.

        Args:
            listed: the segment.
            limits: bounds on each request.
            still_listed: returns True while the playlist lists it.
            timing: timeouts; those of a playlist that lists its segments for good unless given.
            encoding: number of the run of segments between two discontinuities: another run may
                have another initialization section behind the same URL.
        """
        timing = timing or segment_timing(
            listed.duration,
            target_duration=listed.duration,
            window=0.0,
            request_timeout=limits.request_timeout,
        )
        attempt = 0
        began = time.monotonic()
        while True:
            attempt += 1
            try:
                return await self._attempt(listed, limits, timing, encoding)
            except _FailedAttempt as failure:
                spent = attempt >= failure.attempts and time.monotonic() - began >= failure.patience
                if spent or (attempt > 1 and not still_listed()):
                    _log.warning(
                        "segment_lost",
                        sequence=listed.sequence,
                        reason=failure.reason,
                        detail=failure.detail,
                        attempts=attempt,
                    )
                    return Lost(listed, failure.reason, failure.detail)
                wait = failure.retry_after
            delay = min(_FIRST_DELAY * 2 ** min(attempt - 1, 10), _LONGEST_DELAY)
            jittered = delay * random.uniform(0.5, 1.0)  # noqa: S311 jitter
            await asyncio.sleep(max(jittered, wait or 0.0))

    async def _attempt(
        self, listed: ListedSegment, limits: IngestLimits, timing: SegmentTiming, encoding: int
    ) -> Fetched:
        file = await self._store.scratch()
        try:
            size = await self._download(listed, file, limits, timing, encoding)
            facts = await self._pool.run(probe, str(file))
        except BaseException as error:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            if isinstance(error, UndecodableError | MediaError | FetchError | UrlForbiddenError):
                if isinstance(error, UndecodableError):
                    self._forget_initialization(listed)
                raise _verdict(error, timing) from error
            raise
        media = FetchedMedia(
            first_timestamp=facts.first_timestamp,
            duration=facts.duration,
            has_video=facts.has_video,
            has_audio=facts.has_audio,
            size=size,
            suffix=facts.suffix,
        )
        return Fetched(listed, media, file)

    async def _download(
        self,
        listed: ListedSegment,
        file: Path,
        limits: IngestLimits,
        timing: SegmentTiming,
        encoding: int,
    ) -> int:
        prefix = b""
        if listed.initialization is not None:
            prefix = await self._initialization(listed.initialization, timing, encoding)
        return await self._client.download(
            listed.resource,
            file,
            max_bytes=limits.max_segment_bytes,
            seconds=timing.total,
            idle=timing.idle,
            prefix=prefix,
        )

    async def _initialization(
        self, resource: Resource, timing: SegmentTiming, encoding: int
    ) -> bytes:
        """Return an initialization section: in front of each segment, it makes it playable."""
        key = (resource, encoding)
        async with self._reading_initialization:
            known = self._initializations.get(key)
            if known is None:
                known = await self._client.read(
                    resource,
                    max_bytes=_MAX_INITIALIZATION_BYTES,
                    seconds=timing.total,
                    idle=timing.idle,
                )
                self._initializations[key] = known
                while len(self._initializations) > _REMEMBERED_INITIALIZATIONS:
                    self._initializations.popitem(last=False)
        return known

    def _forget_initialization(self, listed: ListedSegment) -> None:
        """Read the initialization section anew for the next attempt: it may have been replaced."""
        for key in [key for key in self._initializations if key[0] == listed.initialization]:
            del self._initializations[key]


def _verdict(error: Exception, timing: SegmentTiming) -> _FailedAttempt:
    detail = str(error)
    match error:
        case UndecodableError() | MediaError() | DamagedError():
            return _FailedAttempt(GapReason.CORRUPT, detail, attempts=_CORRUPT_ATTEMPTS)
        case TooLargeError():
            return _FailedAttempt(GapReason.TOO_LARGE, detail, attempts=1)
        case NotFoundError():
            return _FailedAttempt(
                GapReason.NOT_FOUND,
                detail,
                attempts=_REFUSED_ATTEMPTS,
                patience=timing.missing_patience,
            )
        case RefusedError():
            return _FailedAttempt(GapReason.UNREACHABLE, detail, attempts=_REFUSED_ATTEMPTS)
        case UrlForbiddenError():
            return _FailedAttempt(GapReason.UNREACHABLE, detail, attempts=1)
        case _:
            return _FailedAttempt(
                GapReason.UNREACHABLE,
                detail,
                attempts=_ATTEMPTS,
                patience=timing.error_patience,
                retry_after=getattr(error, "retry_after", None),
            )
