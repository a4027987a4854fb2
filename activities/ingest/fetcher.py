"""Download of single segments: retried while the origin may have them, decrypted and probed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import structlog

from activities.ingest.parts import PartCollector, PartFollower
from domain.ingest.messages import IngestLimits
from domain.ingest.playlist import ListedSegment, Resource, SegmentKey
from domain.ingest.retries import SegmentTiming, segment_timing
from domain.ingest.window import FetchedMedia
from domain.media.segments import GapReason
from infra.media.decryption import (
    KEY_BYTES,
    DecryptionError,
    decrypt,
    decrypt_file,
    sequence_vector,
)
from infra.media.hls_client import (
    DamagedError,
    FetchError,
    MediaSource,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnreachableError,
)
from infra.media.pool import MediaError, MediaPool
from infra.media.probe import UndecodableError, probe
from infra.ssrf import UrlForbiddenError
from infra.storage.segments import SegmentStore

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 8
_REFUSED_ATTEMPTS: Final = 5
_CORRUPT_ATTEMPTS: Final = 2
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 4.0
_MAX_INITIALIZATION_BYTES: Final = 1 << 20
_REMEMBERED_INITIALIZATIONS: Final = 64
_MAX_KEY_BYTES: Final = 1 << 10
_REMEMBERED_KEYS: Final = 64
_FAILED_KEY: Final = 0.5


@dataclass(frozen=True)
class DownloadedSegment:
    """A downloaded and probed segment; `file` is None if it is already in the segment store."""

    listed: ListedSegment
    media: FetchedMedia
    file: Path | None


@dataclass(frozen=True)
class MissingSegment:
    """A segment that could not be downloaded; `encrypted` if it could not be decrypted."""

    listed: ListedSegment
    reason: GapReason
    detail: str
    encrypted: bool = False


class KeyUnavailableError(FetchError):
    """A segment's key cannot be read, or is invalid."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UndecryptableError(DamagedError):
    """A segment cannot be decrypted with its key."""


class _FailedAttempt(Exception):  # noqa: N818 carries retry rules, not an error
    def __init__(
        self,
        reason: GapReason,
        detail: str,
        *,
        attempts: int,
        patience: float = 0.0,
        retry_after: float | None = None,
        encrypted: bool = False,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.attempts = attempts
        self.patience = patience
        self.retry_after = retry_after
        self.encrypted = encrypted


class SegmentFetcher:
    """Downloads and probes the segments of one stream.

    Its caches (initialization sections, keys) belong to this stream, whose cookies they were read
    with.

    Args:
        client: source of the segments.
        store: provides scratch files.
        pool: runs media probes.
    """

    def __init__(self, client: MediaSource, store: SegmentStore, pool: MediaPool) -> None:
        self._client = client
        self._store = store
        self._pool = pool
        self._initializations: OrderedDict[tuple[Resource, int], bytes] = OrderedDict()
        self._reading_initialization = asyncio.Lock()
        self._keys: OrderedDict[str, bytes] = OrderedDict()
        self._failed_keys: OrderedDict[str, tuple[float, KeyUnavailableError]] = OrderedDict()
        self._reading_key = asyncio.Lock()

    async def fetch(
        self,
        listed: ListedSegment,
        *,
        limits: IngestLimits,
        still_listed: Callable[[], bool],
        timing: SegmentTiming | None = None,
        encoding: int = 0,
        parts: PartCollector | None = None,
    ) -> DownloadedSegment | MissingSegment:
        """Download a segment, retrying with growing delays while the playlist still lists it.

        Args:
            listed: the segment.
            limits: bounds on each request.
            still_listed: returns True while the playlist lists it.
            timing: timeouts; those of a playlist that lists its segments for good unless given.
            encoding: number of the run of segments between two discontinuities: another run may
                have another initialization section behind the same URL.
            parts: its parts, which spare the request for the segment if none is missing.
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
                return await self._attempt(listed, limits, timing, encoding=encoding, parts=parts)
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
                    return MissingSegment(listed, failure.reason, failure.detail, failure.encrypted)
                wait = failure.retry_after
            delay = min(_FIRST_DELAY * 2 ** min(attempt - 1, 10), _LONGEST_DELAY)
            jittered = delay * random.uniform(0.5, 1.0)  # noqa: S311 jitter
            await asyncio.sleep(max(jittered, wait or 0.0))

    def part_follower(self, limits: IngestLimits) -> PartFollower:
        """Return what collects parts of segments for a later `fetch`."""
        return PartFollower(self._client, self._store, limits=limits)

    async def _attempt(
        self,
        listed: ListedSegment,
        limits: IngestLimits,
        timing: SegmentTiming,
        *,
        encoding: int,
        parts: PartCollector | None,
    ) -> DownloadedSegment:
        refusal = listed.problem or listed.refusal
        if refusal:
            raise _FailedAttempt(
                GapReason.UNREACHABLE, refusal, attempts=1, encrypted=not listed.problem
            )
        file = await self._store.scratch()
        try:
            size = await self._download(
                listed, file, limits, timing, encoding=encoding, parts=parts
            )
            facts = await self._pool.run(probe, str(file))
        except BaseException as error:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            if isinstance(error, UndecodableError | MediaError | FetchError | UrlForbiddenError):
                if isinstance(error, UndecodableError | DamagedError):
                    self._forget(listed)
                raise _failed_attempt(error, timing) from error
            raise
        media = FetchedMedia(
            first_timestamp=facts.first_timestamp,
            duration=facts.duration,
            has_video=facts.has_video,
            has_audio=facts.has_audio,
            size=size,
            suffix=facts.suffix,
            timed=facts.timed,
            clock=facts.clock,
            audio_tracks=facts.audio_tracks,
            starts_with_keyframe=facts.starts_with_keyframe or not facts.has_video,
            has_keyframe=facts.keyframes > 0 or not facts.has_video,
        )
        return DownloadedSegment(listed, media, file)

    async def _download(
        self,
        listed: ListedSegment,
        file: Path,
        limits: IngestLimits,
        timing: SegmentTiming,
        *,
        encoding: int,
        parts: PartCollector | None,
    ) -> int:
        prefix = b""
        if listed.initialization is not None:
            prefix = await self._initialization(listed, timing, encoding)
        if parts is not None:
            size = await parts.write(file, prefix=prefix)
            if size is not None:
                return size
        if listed.key is None:
            return await self._client.download(
                listed.resource,
                file,
                max_bytes=limits.max_segment_bytes,
                seconds=timing.total,
                idle=timing.idle,
                prefix=prefix,
            )
        key = await self._key(listed.key, timing)
        encrypted = await self._store.scratch()
        try:
            await self._client.download(
                listed.resource,
                encrypted,
                max_bytes=limits.max_segment_bytes,
                seconds=timing.total,
                idle=timing.idle,
            )
            vector = listed.key.iv or sequence_vector(listed.sequence)
            return await asyncio.to_thread(
                decrypt_file, encrypted, file, key=key, vector=vector, prefix=prefix
            )
        except DecryptionError as error:
            raise UndecryptableError(str(error)) from error
        finally:
            await asyncio.to_thread(encrypted.unlink, missing_ok=True)

    async def _initialization(
        self, listed: ListedSegment, timing: SegmentTiming, encoding: int
    ) -> bytes:
        """Return the initialization section that each segment is prefixed with."""
        resource = listed.initialization
        if resource is None:
            return b""
        cached = (resource, encoding)
        async with self._reading_initialization:
            known = self._initializations.get(cached)
            if known is None:
                known = await self._client.read(
                    resource,
                    max_bytes=_MAX_INITIALIZATION_BYTES,
                    seconds=timing.total,
                    idle=timing.idle,
                )
                known = await self._plain_initialization(listed, known, timing)
                self._initializations[cached] = known
                while len(self._initializations) > _REMEMBERED_INITIALIZATIONS:
                    self._initializations.popitem(last=False)
        return known

    async def _plain_initialization(
        self, listed: ListedSegment, data: bytes, timing: SegmentTiming
    ) -> bytes:
        key = listed.initialization_key
        if key is None:
            return data
        if key.refusal:
            raise KeyUnavailableError(f"its initialization section is {key.refusal}")
        secret = await self._key(key, timing)
        try:
            # Without an IV of its own none is defined; packagers take that of the segment.
            return decrypt(data, key=secret, vector=key.iv or sequence_vector(listed.sequence))
        except DecryptionError:
            if key.iv is None:
                return data  # encrypted initialization sections must name an IV: this one is plain
            raise UndecryptableError("its initialization section cannot be decrypted") from None

    async def _key(self, key: SegmentKey, timing: SegmentTiming) -> bytes:
        """Return a key, read with this stream's cookies and SSRF protection.

        Raises:
            KeyUnavailableError: it cannot be read; requested again after a while.
        """
        url = key.url or ""
        async with self._reading_key:
            known = self._keys.get(url)
            if known is not None:
                return known
            failed = self._failed_keys.get(url)
            if failed is not None and time.monotonic() < failed[0]:
                raise failed[1]
            try:
                known = await self._client.read(
                    Resource(url=url),
                    max_bytes=_MAX_KEY_BYTES,
                    seconds=timing.total,
                    idle=timing.idle,
                )
                _check_key(known)
            except (FetchError, UrlForbiddenError) as error:
                reason = str(error).rstrip(".")
                unavailable = KeyUnavailableError(
                    f"encrypted (AES-128), and its key cannot be read: {reason}",
                    retry_after=_retry_after(error),
                )
                _remember(self._failed_keys, url, (time.monotonic() + _FAILED_KEY, unavailable))
                raise unavailable from error
            _remember(self._keys, url, known)
            return known

    def _forget(self, listed: ListedSegment) -> None:
        """Forget what the segment depends on, which may have been replaced at the origin."""
        for cached in [each for each in self._initializations if each[0] == listed.initialization]:
            del self._initializations[cached]
        if listed.key is not None and listed.key.url is not None:
            self._keys.pop(listed.key.url, None)


def _retry_after(error: Exception) -> float | None:
    return error.retry_after if isinstance(error, UnreachableError) else None


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise FetchError(f"it has {len(key)} bytes instead of {KEY_BYTES}")


def _remember(memory: OrderedDict[str, T], name: str, value: T) -> None:
    memory[name] = value
    memory.move_to_end(name)
    while len(memory) > _REMEMBERED_KEYS:
        memory.popitem(last=False)


def _failed_attempt(error: Exception, timing: SegmentTiming) -> _FailedAttempt:  # noqa: PLR0911 a table
    detail = str(error)
    match error:
        case UndecodableError() | MediaError() | DamagedError():
            return _FailedAttempt(
                GapReason.CORRUPT,
                detail,
                attempts=_CORRUPT_ATTEMPTS,
                encrypted=isinstance(error, UndecryptableError),
            )
        case KeyUnavailableError():
            return _FailedAttempt(
                GapReason.UNREACHABLE,
                detail,
                attempts=_REFUSED_ATTEMPTS,
                patience=timing.missing_patience,
                retry_after=error.retry_after,
                encrypted=True,
            )
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
                retry_after=_retry_after(error),
            )
