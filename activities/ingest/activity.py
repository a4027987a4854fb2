"""The ingest activities, and the worker's pool of playlist followers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.analysis.state_store import delete_analyzer_states
from activities.heartbeat import heartbeating
from activities.ingest.fetcher import SegmentFetcher
from activities.ingest.follower import PlaylistFollower
from activities.ingest.poller import PlaylistPoller
from activities.ingest.renditions import CaptionFollower, SeparateAudio
from activities.ingest.store import StoreGuard
from activities.ingest.window_fetch import WindowFetch
from activities.interfaces import Ingest
from app.services.clips import MediaRetention
from domain.ingest.messages import (
    FetchWindowInput,
    FetchWindowResult,
    IngestCursor,
    IngestLimits,
    IngestProgress,
)
from domain.ingest.retries import RepeatedFailure
from domain.streams.messages import MediaRelease
from domain.streams.status import EndReason, ProblemCode, StreamEnd, StreamProblem
from infra.media.hls_client import HlsClient, HlsSession
from infra.media.pool import MediaPool
from infra.ssrf import UrlForbiddenError
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import SegmentStore, store_error

StreamKey = tuple[UUID, UUID]


class FollowerPool:
    """Keeps each stream's follower between the activities of two windows.

    A live playlist advances while the workflow schedules the next window. The follower continues
    meanwhile, so that the next window finds its segments downloaded. It is closed after `linger`
    seconds if no activity on this worker claims it.
    """

    def __init__(
        self,
        client: HlsClient,
        store: SegmentStore,
        pool: MediaPool,
        *,
        linger: float,
        caption_interval: float,
        worker: str | None,
    ) -> None:
        self._client = client
        self._store = store
        self._pool = pool
        self._linger = linger
        self._caption_interval = caption_interval
        self._worker = worker
        self._waiting: dict[
            StreamKey, tuple[IngestCursor, PlaylistFollower, asyncio.TimerHandle]
        ] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def claim(self, request: FetchWindowInput, cursor: IngestCursor) -> PlaylistFollower:
        """Return the follower that is kept at `cursor`, or else a new one."""
        key = (request.tenant_id, request.stream_id)
        if key in self._waiting:
            position, follower, timer = self._waiting.pop(key)
            timer.cancel()
            if position == cursor:
                return follower
            await follower.close()
        return await self._new(request, cursor)

    async def keep(
        self, request: FetchWindowInput, cursor: IngestCursor, follower: PlaylistFollower
    ) -> None:
        """Keep a follower for the window that begins at `cursor`.

        The index is written first: what the workflow knows of is what it can have deleted.
        """
        await follower.index.flush()
        key = (request.tenant_id, request.stream_id)
        loop = asyncio.get_running_loop()
        self._waiting[key] = (cursor, follower, loop.call_later(self._linger, self._expire, key))

    async def close(self) -> None:
        """Close all kept followers."""
        waiting, self._waiting = self._waiting, {}
        for _, follower, timer in waiting.values():
            timer.cancel()
            await follower.close()
        await asyncio.gather(*self._closing)

    def _expire(self, key: StreamKey) -> None:
        _, follower, _ = self._waiting.pop(key)
        closing = asyncio.create_task(follower.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _new(self, request: FetchWindowInput, cursor: IngestCursor) -> PlaylistFollower:
        index = StoredSegments(
            self._store, tenant_id=request.tenant_id, stream_id=request.stream_id
        )
        session = self._client.session((request.tenant_id, request.stream_id))
        audio = RepeatedFailure(ProblemCode.AUDIO_UNAVAILABLE, known=request.problem)
        follower = PlaylistFollower(
            poller=PlaylistPoller(
                session,
                url=request.playlist_url,
                limits=request.limits,
                policy=request.variant,
                media_url=cursor.media_playlist_url,
                variant=cursor.variant,
                captions_url=cursor.captions_url,
                audio_url=cursor.audio_url,
            ),
            fetcher=SegmentFetcher(session, self._store, self._pool),
            cursor=cursor,
            limits=request.limits,
            store=StoreGuard(self._store, problem=request.problem),
            encryption=RepeatedFailure(ProblemCode.MEDIA_ENCRYPTED, known=request.problem),
            audio=audio,
            captions=partial(self._captions, session, request.limits)
            if request.limits.captions
            else None,
            separate_audio=partial(self._audio, session, request.limits, audio),
            stored=await index.following(
                cursor.position,
                discontinuity=cursor.discontinuity_sequence,
                sequence=cursor.next_sequence or 0,
            ),
            index=index,
            worker=self._worker,
        )
        follower.start()
        return follower

    def _captions(
        self, session: HlsSession, limits: IngestLimits, url: str, variables: Mapping[str, str]
    ) -> CaptionFollower:
        return CaptionFollower(
            session,
            url=url,
            limits=limits,
            interval=self._caption_interval,
            variables=variables,
        )

    def _audio(
        self,
        session: HlsSession,
        limits: IngestLimits,
        failure: RepeatedFailure,
        url: str,
        variables: Mapping[str, str],
    ) -> SeparateAudio:
        return SeparateAudio(
            session,
            url=url,
            store=self._store,
            pool=self._pool,
            limits=limits,
            failure=failure,
            variables=variables,
        )


_log = structlog.get_logger(__name__)


_HEARTBEAT_INTERVAL: Final = 1.0


_CAPTION_INTERVAL: Final = 2.0


_LINGER: Final = 15.0


REPORT_AFTER: Final = 2.5
"""Seconds that a problem must last before it is reported."""


_FAILING_FROM: Final = 3


_SCRATCH_LIFETIME: Final = 3600.0


_PERMANENT: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


_PERMANENT_ATTEMPTS: Final = 5


class IngestActivities(Ingest):
    """The ingest activities of one worker; call `close` when the worker has stopped.

    Args:
        store: receives the segments.
        client: HTTP client for origins, with SSRF protection.
        pool: runs media probes.
        linger: seconds for which a follower is kept between two windows.
        heartbeat_interval: seconds between heartbeats.
        caption_interval: polling interval of caption playlists, in seconds.
        report_after: seconds that a problem must last before it is reported.
        worker: name of this worker if it keeps media on its own disk.
    """

    def __init__(
        self,
        *,
        store: SegmentStore,
        client: HlsClient,
        pool: MediaPool,
        worker: str | None = None,
        linger: float = _LINGER,
        heartbeat_interval: float = _HEARTBEAT_INTERVAL,
        caption_interval: float = _CAPTION_INTERVAL,
        report_after: float = REPORT_AFTER,
        retention: MediaRetention | None = None,
    ) -> None:
        self._retention = retention
        self._report_after = report_after
        self._store = store
        self._client = client
        self._heartbeat_interval = heartbeat_interval
        self._followers = FollowerPool(
            client,
            store,
            pool,
            linger=linger,
            caption_interval=caption_interval,
            worker=worker,
        )

    @property
    def followers(self) -> FollowerPool:
        """The followers, to share with `follow_stream`."""
        return self._followers

    @activity.defn(name="fetch_window")
    async def fetch_window(self, request: FetchWindowInput) -> FetchWindowResult:
        progress = _resume(request)
        try:
            self._client.guard.check(request.playlist_url)
        except UrlForbiddenError as error:
            end = StreamEnd(reason=EndReason.URL_FORBIDDEN, message=str(error))
            return FetchWindowResult(cursor=progress.cursor, end=end)
        follower = await self._followers.claim(request, progress.cursor)
        fetch = WindowFetch(
            request,
            progress=progress,
            follower=follower,
            store=self._store,
            report_after=self._report_after,
        )
        try:
            result = await self._fill(fetch)
        except Exception as error:
            await follower.close()
            outcome = failure_outcome(request, fetch, error)
            if outcome is None:
                raise
            return outcome
        except BaseException:
            await follower.close()
            raise
        stopping = activity.is_worker_shutdown() or activity.is_cancelled()
        if result.end is None and not stopping:
            await self._followers.keep(request, result.cursor, follower)
        else:
            await follower.close()
        return result

    @activity.defn(name="release_media")
    async def release_media(self, request: MediaRelease) -> None:
        stored = StoredSegments(
            self._store, tenant_id=request.tenant_id, stream_id=request.stream_id
        )
        async with heartbeating(interval=self._heartbeat_interval):
            release: MediaRelease | None = request
            if self._retention is not None:
                release = await self._retention.limited(request)
            if release is not None:
                await stored.release(before=release.before, after=release.after)
            if request.before is None:
                await delete_analyzer_states(
                    self._store, tenant_id=request.tenant_id, stream_id=request.stream_id
                )
            await self._store.sweep(older_than=_SCRATCH_LIFETIME)
        _log.info("media_released", before=request.before)

    async def close(self) -> None:
        """Close all kept followers."""
        await self._followers.close()

    async def _fill(self, fetch: WindowFetch) -> FetchWindowResult:
        """Fill the window while sending heartbeats, unless the worker shuts down first."""
        filling = asyncio.create_task(fetch.fill())
        shutdown = asyncio.create_task(activity.wait_for_worker_shutdown())
        try:
            while not filling.done():
                activity.heartbeat(fetch.progress)
                await asyncio.wait(
                    {filling, shutdown},
                    timeout=self._heartbeat_interval,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if shutdown.done() and not filling.done():
                    return await _hand_over(fetch, filling)
            return filling.result()
        except asyncio.CancelledError:
            # Cancelled by the workflow: the stream is over, and ingested segments still count. A
            # shutdown of the worker is handled above.
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
            if activity.is_cancelled() and fetch.progress.segments:
                return fetch.result()
            raise
        finally:
            for task in (filling, shutdown):
                task.cancel()
            await asyncio.gather(filling, shutdown, return_exceptions=True)


def failure_outcome(
    request: FetchWindowInput, fetch: WindowFetch, error: Exception
) -> FetchWindowResult | None:
    """Return the result after an unexpected error of fetching; None to retry without one.

    Call it from an `except` block. An error that no retry can fix ends the stream, others are
    shown as a problem while they are retried.
    """
    attempt = activity.info().attempt
    if isinstance(error, _PERMANENT) and attempt >= _PERMANENT_ATTEMPTS:
        _log.exception("window_failed_permanently")
        return fetch.result(end=_fault())
    if request.problem is not None or attempt < _FAILING_FROM:
        return None
    _log.exception("ingest_failing")
    return fetch.result(problem=_failing(error))


def _fault() -> StreamEnd:
    """Return the end of a stream whose ingest always fails in the same way."""
    return StreamEnd(
        reason=EndReason.INTERNAL,
        message="A fault in our service kept us from reading the stream. "
        "Report it with the stream's id.",
    )


async def _hand_over(
    fetch: WindowFetch, filling: asyncio.Task[FetchWindowResult]
) -> FetchWindowResult:
    """Return the partial window, so that another worker can continue at once."""
    filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)
    activity.heartbeat(fetch.progress)
    result = fetch.result()
    if result.window is None:
        raise ApplicationError(
            "This worker is shutting down; another one goes on.", type="worker_shutdown"
        )
    return result


def _failing(error: Exception) -> StreamProblem:
    """Return the problem that an unexpected error shows to the stream's owner."""
    if isinstance(error, ApplicationError) or store_error(error) is None:
        return StreamProblem(
            code=ProblemCode.INGEST_FAILING,
            message="Reading the stream fails on an internal error of ours; we are trying again.",
        )
    return StreamProblem(code=ProblemCode.STORE_UNAVAILABLE, message=str(store_error(error)))


def _resume(request: FetchWindowInput) -> IngestProgress:
    """Return the progress of an earlier attempt's last heartbeat, or else of the cursor."""
    details = activity.info().heartbeat_details
    if details:
        try:
            return IngestProgress.model_validate(details[0])
        except ValidationError as error:
            _log.warning("heartbeat_unreadable", problems=error.error_count())
    return first_progress(request.cursor)


def first_progress(cursor: IngestCursor) -> IngestProgress:
    """Return an empty window at `cursor`, which gets the time of the first attempt."""
    if cursor.started_at is None:
        cursor = cursor.changed(started_at=datetime.now(UTC))
    return IngestProgress.begin(cursor)
