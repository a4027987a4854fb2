"""Fetching one segment: with retries while it is to be had, and verified before it counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from domain.ingest import IngestLimits
from domain.media import GapReason
from domain.playlist import ListedSegment, Resource
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
_REMEMBERED_INITIALIZATIONS: Final = 16


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
    def __init__(self, reason: GapReason, detail: str, *, attempts: int) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.attempts = attempts


class SegmentFetcher:
    """Fetches and verifies segments of all streams of a worker.

    Args:
        client: where segments are read from.
        store: whose scratch space receives the files.
        pool: where media is looked into.
    """

    def __init__(self, client: MediaSource, store: SegmentStore, pool: MediaPool) -> None:
        self._client = client
        self._store = store
        self._pool = pool

    async def fetch(
        self,
        listed: ListedSegment,
        *,
        limits: IngestLimits,
        still_listed: Callable[[], bool],
        initializations: MutableMapping[Resource, bytes],
    ) -> Fetched | Lost:
        """Fetch a segment, trying again with growing delays while the playlist still lists it.

        `initializations` keeps the initialization sections of one stream between two
        discontinuities: after one, another may be behind the same URL.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._attempt(listed, limits, initializations)
            except _FailedAttempt as failure:
                if attempt >= failure.attempts or (attempt > 1 and not still_listed()):
                    _log.warning(
                        "segment_lost",
                        sequence=listed.sequence,
                        reason=failure.reason,
                        detail=failure.detail,
                        attempts=attempt,
                    )
                    return Lost(listed, failure.reason, failure.detail)
            delay = min(_FIRST_DELAY * 2 ** (attempt - 1), _LONGEST_DELAY)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 jitter

    async def _attempt(
        self,
        listed: ListedSegment,
        limits: IngestLimits,
        initializations: MutableMapping[Resource, bytes],
    ) -> Fetched:
        file = await self._store.scratch()
        try:
            prefix = b""
            if listed.initialization is not None:
                prefix = await self._initialization(listed.initialization, limits, initializations)
            size = await self._client.download(
                listed.resource,
                file,
                max_bytes=limits.max_segment_bytes,
                seconds=limits.request_timeout,
                prefix=prefix,
            )
            facts = await self._pool.run(probe, str(file))
        except BaseException as error:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            if isinstance(error, UndecodableError) and listed.initialization is not None:
                initializations.pop(listed.initialization, None)  # it may have been replaced
            if isinstance(error, UndecodableError | MediaError | FetchError | UrlForbiddenError):
                raise _verdict(error) from error
            raise
        media = FetchedMedia(
            first_timestamp=facts.first_timestamp,
            duration=facts.duration,
            has_video=facts.has_video,
            has_audio=facts.has_audio,
            size=size,
            suffix=facts.suffix,
            starts_with_keyframe=facts.starts_with_keyframe or not facts.has_video,
            has_keyframe=facts.keyframes > 0 or not facts.has_video,
        )
        return Fetched(listed, media, file)

    async def _initialization(
        self, resource: Resource, limits: IngestLimits, known: MutableMapping[Resource, bytes]
    ) -> bytes:
        """Return an initialization section: in front of each segment, it makes it playable."""
        if resource not in known:
            content = await self._client.read(
                resource, max_bytes=_MAX_INITIALIZATION_BYTES, seconds=limits.request_timeout
            )
            if len(known) >= _REMEMBERED_INITIALIZATIONS:
                known.clear()
            known[resource] = content
            return content
        return known[resource]


def _verdict(error: Exception) -> _FailedAttempt:
    match error:
        case UndecodableError() | MediaError() | DamagedError():
            return _FailedAttempt(GapReason.CORRUPT, str(error), attempts=_CORRUPT_ATTEMPTS)
        case TooLargeError():
            return _FailedAttempt(GapReason.TOO_LARGE, str(error), attempts=1)
        case NotFoundError():
            return _FailedAttempt(GapReason.NOT_FOUND, str(error), attempts=_REFUSED_ATTEMPTS)
        case RefusedError():
            return _FailedAttempt(GapReason.UNREACHABLE, str(error), attempts=_REFUSED_ATTEMPTS)
        case UrlForbiddenError():
            return _FailedAttempt(GapReason.UNREACHABLE, str(error), attempts=1)
        case _:
            return _FailedAttempt(GapReason.UNREACHABLE, str(error), attempts=_ATTEMPTS)
