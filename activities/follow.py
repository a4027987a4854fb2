"""Following of live streams: fetching and analysis side by side in one activity."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from cachetools import TTLCache
from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.feed import FeedLinker
from activities.ingest.activity import (
    REPORT_AFTER,
    FollowerPool,
    StreamKey,
    failure_outcome,
    first_progress,
)
from activities.ingest.follower import PlaylistFollower
from activities.ingest.window_fetch import WindowFetch
from activities.interfaces import Following
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.ingest.messages import FetchWindowResult, IngestCursor, IngestProgress
from domain.media.segments import Window
from domain.streams.ledger import BATCH
from domain.streams.messages import AnalyzedWindows, FollowInput, FollowProgress, FollowResult
from domain.streams.status import EndReason, StreamEnd, StreamProgress
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.ssrf import UrlForbiddenError, UrlGuard
from infra.storage.segments import SegmentStore
from infra.telemetry.metrics import SECONDS_BEHIND_LIVE, STREAMS_FOLLOWED, seconds_since

_log = structlog.get_logger(__name__)

_MOST_WINDOWS: Final = 40
_MOST_SEGMENTS: Final = 300  # in one result, whose payload Temporal limits to 2 MiB
_LINGER: Final = 15.0
_PATIENCE: Final = 5.0
_SHARE_OF_TIMEOUT: Final = 0.55
_DEFAULT_TIMEOUT: Final = 6.0
_POSITION_INTERVAL: Final = 60.0
_POSITION_TIMEOUT: Final = 10.0
_MOST_STREAMS: Final = 10_000


class WindowAnalyzer(Protocol):
    """An analyzer of windows: `LocalAnalysis` or `GeminiAnalysis`."""

    async def run(
        self, request: AnalyzeWindowInput, *, seconds: float | None = None
    ) -> AnalyzeWindowResult:
        """Return the result of `analyze_window`, without heartbeats, within `seconds`."""


@dataclass
class _RunningAnalysis:
    request: AnalyzeWindowInput
    task: asyncio.Task[AnalyzeWindowResult]
    expiry: asyncio.TimerHandle | None = None


class AnalysisPool:
    """Runs one analysis per stream, which continues between two activities.

    A slow analysis then neither holds back the result of an activity nor starts over with the next
    one. It is cancelled after `linger` seconds if no activity on this worker takes it over; its
    windows are analyzed again elsewhere, from the same stored state.
    """

    def __init__(self, analyzer: WindowAnalyzer, *, linger: float = _LINGER) -> None:
        self._analyzer = analyzer
        self._linger = linger
        self._running: dict[StreamKey, _RunningAnalysis] = {}

    async def result(
        self, request: AnalyzeWindowInput, *, seconds: float
    ) -> tuple[int, AnalyzeWindowResult]:
        """Analyze windows; return how many of them were analyzed, with the result.

        They are fewer if an analysis of the first ones is running.

        Raises:
            Exception: the analysis failed, or took longer than `seconds`.
        """
        key = (request.tenant_id, request.stream_id)
        running = self._running.get(key)
        if running is None or not _begins_with(request, running.request):
            await self.drop(key)
            task = asyncio.create_task(self._run(request, seconds), name="analyze-windows")
            running = self._running[key] = _RunningAnalysis(request, task)
        if running.expiry is not None:
            running.expiry.cancel()
            running.expiry = None
        await asyncio.wait({running.task})  # a cancelled caller leaves the analysis running
        self._running.pop(key, None)
        return len(running.request.windows), running.task.result()

    def keep(self, key: StreamKey) -> None:
        """Keep the stream's running analysis for the next activity."""
        running = self._running.get(key)
        if running is not None and running.expiry is None:
            loop = asyncio.get_running_loop()
            running.expiry = loop.call_later(self._linger, running.task.cancel)

    async def drop(self, key: StreamKey) -> None:
        """Cancel the stream's running analysis."""
        running = self._running.pop(key, None)
        if running is not None:
            if running.expiry is not None:
                running.expiry.cancel()
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)

    async def _run(self, request: AnalyzeWindowInput, seconds: float) -> AnalyzeWindowResult:
        try:
            async with asyncio.timeout(seconds):
                return await self._analyzer.run(request, seconds=seconds)
        except ApplicationError as error:
            if error.next_retry_delay is not None:  # what comes next must not come sooner
                await asyncio.sleep(error.next_retry_delay.total_seconds())
            raise


def _begins_with(request: AnalyzeWindowInput, running: AnalyzeWindowInput) -> bool:
    """Return True if `running` analyzes the first windows of `request`."""
    windows = request.windows[: len(running.windows)]
    return windows == running.windows and request.previous_window == running.previous_window


class StreamFollow:
    """One call of `follow_stream`: a task fetches windows, another analyzes them.

    Args:
        request: the activity's input.
        progress: what an earlier attempt has done.
        follower: follows the playlist from there.
        store: receives the segments.
        analyses: runs the analyses.
        report_after: seconds that a problem must last before it is reported.
    """

    def __init__(
        self,
        request: FollowInput,
        *,
        progress: FollowProgress,
        follower: PlaylistFollower,
        store: SegmentStore,
        analyses: AnalysisPool,
        report_after: float,
    ) -> None:
        self._request = request
        self._follower = follower
        self._store = store
        self._pool = analyses
        self._report_after = report_after
        self._windows = list(progress.windows)
        self._analyses = list(progress.analyses)
        self._analysis_failed = False
        self._last: FetchWindowResult | None = None
        self._over = False
        self._filled: IngestCursor | None = None  # after a window, until the next one begins
        self._fetched = asyncio.Event()
        self._fetch = self._next_fetch(progress.window)

    @property
    def progress(self) -> FollowProgress:
        """What was done so far, for heartbeats."""
        filled = self._filled
        return FollowProgress(
            window=self._fetch.progress if filled is None else IngestProgress.begin(filled),
            windows=tuple(self._windows),
            analyses=tuple(self._analyses),
        )

    @property
    def listed(self) -> float:
        """Seconds of media that the playlist lists; 0 if unknown."""
        return self._follower.listed

    async def run(self) -> FollowResult:
        """Fetch and analyze until there is something to return."""
        timer = asyncio.get_running_loop().call_later(self._request.duration, self.finish)
        analyzing = asyncio.create_task(self._analyze(), name="follow-analysis")
        try:
            await self._fetch_windows()
            if self._last is not None and self._last.end is not None:
                await analyzing  # no media is waiting, so what is analyzed now may finish
        finally:
            timer.cancel()
            analyzing.cancel()
            await asyncio.gather(analyzing, return_exceptions=True)
        return self.result()

    def finish(self, *, at_once: bool = False) -> None:
        """Make `run` return; with `at_once` it does not wait for the end of a gap."""
        self._over = True
        self._fetched.set()
        self._fetch.interrupt(at_once=at_once)

    def flush(self) -> None:
        """Take the unfinished window of a `run` that was cancelled."""
        self._take(self._fetch.result())

    def result(self, failed: FetchWindowResult | None = None) -> FollowResult:
        """Return what was done so far; `failed` is what a failure of fetching led to."""
        if failed is not None:
            self._take(failed)
        last = self._last
        return FollowResult(
            cursor=self._fetch.progress.cursor if last is None else last.cursor,
            windows=tuple(self._windows),
            analyses=tuple(self._analyses),
            analysis_failed=self._analysis_failed,
            stalled=last is not None and last.stalled,
            problem=None if last is None else last.problem,
            end=None if last is None else last.end,
            listed=self.listed,
        )

    @property
    def fetch(self) -> WindowFetch:
        """The window being filled."""
        return self._fetch

    async def _fetch_windows(self) -> None:
        if self._has_news() or self._is_full():  # an earlier attempt was about to return
            self.finish()
        while True:
            result = await self._fetch.fill()
            self._take(result)
            if self._over or result.end is not None or result.stalled or self._is_full():
                return
            if self._problem_changed(result) or self._is_awaited(result):
                return
            self._fetch = self._next_fetch(IngestProgress.begin(result.cursor))
            self._filled = None

    def _take(self, result: FetchWindowResult) -> None:
        self._last = result
        self._filled = result.cursor
        if result.window is not None:
            self._windows.append(result.window)
        self._over |= result.end is not None
        self._fetched.set()

    def _next_fetch(self, progress: IngestProgress) -> WindowFetch:
        return WindowFetch(
            self._request.fetch,
            progress=progress,
            follower=self._follower,
            store=self._store,
            report_after=self._report_after,
            until=self._request.return_at,
        )

    def _is_full(self) -> bool:
        """Return True if the result is as large as it may be, or one window is wanted."""
        segments = sum(len(window.segments) + len(window.gaps) for window in self._windows)
        full = len(self._windows) >= _MOST_WINDOWS or segments >= _MOST_SEGMENTS
        return full or (self._request.after_window and bool(self._windows))

    def _problem_changed(self, result: FetchWindowResult) -> bool:
        known = self._request.fetch.problem
        before = None if known is None else known.code
        return before is not (None if result.problem is None else result.problem.code)

    def _is_awaited(self, result: FetchWindowResult) -> bool:
        """Return True if the media is stored that a clip waits for."""
        awaited = self._request.return_at
        return awaited is not None and result.cursor.position >= awaited

    async def _analyze(self) -> None:
        if not self._request.analyze:
            return
        while True:
            waiting = self._waiting()
            if waiting:
                await self._analyze_windows(waiting)
            elif self._request.behind:
                self.finish()  # the next call brings the windows that are next
            if self._over:
                return
            if not self._waiting():
                self._fetched.clear()
                await self._fetched.wait()

    async def _analyze_windows(self, windows: Sequence[Window]) -> None:
        request = AnalyzeWindowInput(
            tenant_id=self._request.fetch.tenant_id,
            stream_id=self._request.fetch.stream_id,
            windows=tuple(windows),
            previous_window=self._analyzed_window(),
            profile_id=self._request.profile_id,
            profile_version=self._request.profile_version,
            fed=self._request.fed,
        )
        try:
            count, result = await self._pool.result(request, seconds=self._request.analysis_timeout)
        except Exception as error:  # noqa: BLE001 `analyze_window` retries whatever failed
            _log.exception(
                "analysis_failed",
                stream_id=str(request.stream_id),
                windows=[window.index for window in windows],
                error=type(error).__name__,
            )
            self._analysis_failed = True
            self.finish()
            return
        done = AnalyzedWindows(count=count, result=result, analyzed_at=datetime.now(UTC))
        self._analyses.append(done)
        if last := windows[count - 1].segments:
            SECONDS_BEHIND_LIVE.labels("analyzed").observe(seconds_since(last[-1].published_at))
        if self._has_news():
            self.finish()

    def _has_news(self) -> bool:
        """Return True if the analyses so far give selection something to decide."""
        due = self._request.decide_at
        return any(
            each.result.candidates or (due is not None and each.result.watermark >= due)
            for each in self._analyses
        )

    def _waiting(self) -> list[Window]:
        """Return the next windows to analyze."""
        fetched = () if self._request.behind else self._windows
        return [*self._request.backlog, *fetched][self._analyzed : self._analyzed + BATCH]

    @property
    def _analyzed(self) -> int:
        return sum(each.count for each in self._analyses)

    def _analyzed_window(self) -> int | None:
        """Return the index of the window analyzed last."""
        windows = [*self._request.backlog, *self._windows][: self._analyzed]
        return windows[-1].index if windows else self._request.previous_window


class PositionWriter:
    """Writes the positions of running streams to their rows, so that lists are up to date.

    A write that fails is left out: the next one, or the workflow's record, has the same and more.

    Args:
        database: has the rows.
        interval: seconds between two writes for one stream.
    """

    def __init__(self, database: Database, *, interval: float = _POSITION_INTERVAL) -> None:
        self._database = database
        self._written: TTLCache[StreamKey, bool] = TTLCache(_MOST_STREAMS, ttl=interval)
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, key: StreamKey, progress: FollowProgress) -> None:
        """Write a stream's position in the background, if it is due."""
        if key in self._written:
            return
        self._written[key] = True
        task = asyncio.create_task(self._write(key, progress), name="write-position")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, key: StreamKey, progress: FollowProgress) -> None:
        (tenant_id, stream_id), reached = key, progress.added_to(StreamProgress())
        try:
            async with (
                asyncio.timeout(_POSITION_TIMEOUT),
                self._database.session(tenant_id) as session,
            ):
                await streams.advance(
                    session,
                    tenant_id=tenant_id,
                    stream_id=stream_id,
                    position=reached.position,
                    analyzed=reached.analyzed,
                    last_segment_at=reached.last_segment_at,
                )
        except Exception as error:  # noqa: BLE001 following must not fail for it
            _log.info("position_not_written", stream_id=str(stream_id), error=str(error)[:200])


class FollowActivities(Following):
    """The activity that follows streams.

    Args:
        followers: keeps playlist followers between activities.
        analyses: keeps analyses between activities.
        store: receives the segments.
        guard: checks URLs.
        positions: writes positions to the streams' rows; without it only their workflows do.
        linker: links the events of their feeds; without it only their workflows do.
        report_after: seconds that a problem must last before it is reported.
    """

    def __init__(
        self,
        *,
        followers: FollowerPool,
        analyses: AnalysisPool,
        store: SegmentStore,
        guard: UrlGuard,
        positions: PositionWriter | None = None,
        linker: FeedLinker | None = None,
        report_after: float = REPORT_AFTER,
    ) -> None:
        self._positions = positions
        self._linker = linker
        self._followers = followers
        self._analyses = analyses
        self._store = store
        self._guard = guard
        self._report_after = report_after

    @activity.defn(name="follow_stream")
    async def follow_stream(self, request: FollowInput) -> FollowResult:
        progress = _resume(request)
        cursor = progress.window.cursor
        try:
            self._guard.check(request.fetch.playlist_url)
        except UrlForbiddenError as error:
            end = StreamEnd(reason=EndReason.URL_FORBIDDEN, message=str(error))
            return FollowResult(cursor=cursor, end=end)
        follower = await self._followers.claim(request.fetch, cursor)
        follow = StreamFollow(
            request,
            progress=progress,
            follower=follower,
            store=self._store,
            analyses=self._analyses,
            report_after=self._report_after,
        )
        key = (request.fetch.tenant_id, request.fetch.stream_id)
        try:
            with STREAMS_FOLLOWED.track_inprogress():
                result = await self._run(follow, key, fed=request.fed)
        except Exception as error:
            activity.heartbeat(follow.progress)  # what the next attempt continues from
            await follower.close()
            self._analyses.keep(key)
            outcome = failure_outcome(request.fetch, follow.fetch, error)
            if outcome is None:
                raise
            return follow.result(outcome)
        except BaseException:
            await follower.close()
            await self._analyses.drop(key)
            raise
        if result.end is None and not activity.is_worker_shutdown() and not activity.is_cancelled():
            await self._followers.keep(request.fetch, result.cursor, follower)
            self._analyses.keep(key)
        else:
            await follower.close()
            await self._analyses.drop(key)
        return result

    async def _run(self, follow: StreamFollow, key: StreamKey, *, fed: bool) -> FollowResult:
        """Follow while sending heartbeats, until there is a result or the worker shuts down."""
        running = asyncio.create_task(follow.run())
        shutdown = asyncio.create_task(activity.wait_for_worker_shutdown())
        try:
            while not running.done():
                progress = follow.progress
                activity.heartbeat(progress)
                if self._positions is not None:
                    self._positions.note(key, progress)
                if self._linker is not None and fed:
                    self._linker.note(key, progress)
                await asyncio.wait(
                    {running, shutdown},
                    timeout=_heartbeat_interval(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if shutdown.done() and not running.done():
                    return await _hand_over(follow, running)
            return running.result()
        except asyncio.CancelledError:
            if not activity.is_cancelled():
                raise
            return await _hand_over(follow, running)
        finally:
            for task in (running, shutdown):
                task.cancel()
            await asyncio.gather(running, shutdown, return_exceptions=True)


async def _hand_over(follow: StreamFollow, running: asyncio.Task[FollowResult]) -> FollowResult:
    """Return what was done so far, within a few seconds."""
    follow.finish(at_once=True)
    await asyncio.wait({running}, timeout=_PATIENCE)
    if running.done():
        return running.result()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with suppress(asyncio.CancelledError):
        follow.flush()
    return follow.result()


def _heartbeat_interval() -> float:
    """Return the seconds between two heartbeats.

    Each one is billed, so they are as rare as the timeout allows: nearly half of it is left for a
    busy machine.
    """
    timeout = activity.info().heartbeat_timeout
    return _SHARE_OF_TIMEOUT * (timeout.total_seconds() if timeout else _DEFAULT_TIMEOUT)


def _resume(request: FollowInput) -> FollowProgress:
    """Return the progress of an earlier attempt's last heartbeat, or else of the request."""
    details = activity.info().heartbeat_details
    if details:
        try:
            return FollowProgress.model_validate(details[0])
        except ValidationError as error:
            _log.warning("heartbeat_unreadable", problems=error.error_count())
    return FollowProgress(window=first_progress(request.fetch.cursor))
