"""The multimodal analyzer: the local one, and Gemini for the pieces that are worth its price."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from temporalio import activity

from activities.analysis.chunk_analyzer import ANALYZER, ChunkAnalyzer, ChunkRequest
from activities.analysis.local import LocalAnalysis
from activities.analysis.state_store import AnalyzerStateStore
from activities.heartbeat import heartbeating
from activities.interfaces import Analysis
from app.services.profiles import PinnedProfiles
from domain.analysis.gemini.chunks import GeminiState
from domain.analysis.gemini.report import GeminiReport
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import Window
from domain.profiles.model import GameProfile
from infra.db.engine import DatabaseUnavailableError
from infra.profiles.store import ProfileStore
from infra.storage.segments import SegmentStore

_log = structlog.get_logger(__name__)

# What is left of an activity's time is for what was begun in it.
_SHARE_OF_TIME: Final = 0.6


class GeminiAnalysis(Analysis):
    """The same interface as the local analyzer, which it asks first.

    What it remembers of a stream, and every answer paid for, lies in the segment store, so that a
    retry, on any worker, goes on from there and pays for nothing twice.
    """

    def __init__(
        self,
        *,
        local: LocalAnalysis,
        judge: ChunkAnalyzer,
        segments: SegmentStore,
        profiles: PinnedProfiles,
        shipped: ProfileStore,
    ) -> None:
        self._local = local
        self._judge = judge
        self._states = AnalyzerStateStore(
            segments, analyzer=ANALYZER, initial=GeminiState(), reset_event="watching_starts_anew"
        )
        self._profiles = profiles
        self._shipped = shipped

    @activity.defn(name="analyze_window")
    async def analyze_window(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        """Analyse consecutive windows in order, and look at the pieces that end in them.

        Raises:
            ApplicationError: Gemini cannot answer just now; to be run again.
        """
        async with heartbeating():
            return await self._analyze(request)

    async def _analyze(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        has_time = _clock()
        local, levels = await self._local.hear(request)
        profile = await self._profile(request)
        course = _RequestRun(self._judge, request, profile, await self._states.load(request))
        for window, settled, level in _by_window(request.windows, local, levels):
            course.state = course.state.with_window(window, settled, rank=level)
            if window is not request.windows[-1]:
                await course.settle(has_time)
        if not request.windows:
            course.state = course.state.with_candidates(local.candidates)
        await course.settle(has_time, last=request.last)
        await self._states.save(request, course.state)
        _tell(request, course.report)
        return local.model_copy(
            update={
                "candidates": tuple(course.told),
                "watermark": local.watermark
                if request.last
                else min(local.watermark, course.state.told_until),
                "analyzer": self._judge.analyzer(profile, course.report)
                if course.report.looked
                else local.analyzer,
                "gemini": course.report,
            }
        )

    async def _profile(self, request: AnalyzeWindowInput) -> GameProfile:
        """Return the stream's profile; while the database is away, the shipped one.

        Analysis goes on without a database. What is missing then is a tenant's own words.
        """
        name, version = request.profile_id, request.profile_version
        try:
            return (await self._profiles.find(request.tenant_id, name, version)).profile
        except DatabaseUnavailableError as error:
            _log.warning("profile_unknown", profile=name, version=version, error=str(error))
            return self._shipped.catalog.pinned(name, version).profile


class _RequestRun:
    """One request under way: the state so far, the moments told, and what they cost."""

    def __init__(
        self,
        judge: ChunkAnalyzer,
        request: AnalyzeWindowInput,
        profile: GameProfile,
        state: GeminiState,
    ) -> None:
        self._judge = judge
        self._request = request
        self._profile = profile
        self.state = state
        self.told: list[HighlightCandidate] = []
        self.report = GeminiReport()

    async def settle(self, has_time: Callable[[], bool], *, last: bool = False) -> None:
        """Decide on the piece that has ended, if one has; the `last` ends with the stream.

        Moments that Gemini has spoken of before are told again in its words, without being asked.
        """
        again, self.state = self.state.told_again()
        if again:
            self.told += again
            self.report = self.report.plus(GeminiReport(counted={"told_again": len(again)}))
        piece = self.state.due(last=last)
        if piece is None:
            return
        outcome = await self._judge.decide(
            ChunkRequest(
                tenant_id=self._request.tenant_id,
                stream_id=self._request.stream_id,
                piece=piece,
                state=self.state,
                profile=self._profile,
                has_time=has_time,
            )
        )
        told = outcome.told
        self.state = self.state.after(piece, told.candidates, outcome.gate, told.opinions)
        self.told += told.candidates
        self.report = self.report.plus(outcome.report)


def _by_window(
    windows: tuple[Window, ...], local: AnalyzeWindowResult, levels: tuple[float, ...]
) -> Iterator[tuple[Window, tuple[HighlightCandidate, ...], float]]:
    """Yield each window with the candidates settled by its end, the rest with the last one."""
    rest = list(local.candidates)
    for number, window in enumerate(windows):
        final = number == len(windows) - 1
        settled = tuple(each for each in rest if final or each.settled_at <= window.end)
        rest = [each for each in rest if each not in settled]
        yield window, settled, levels[number]


def _clock() -> Callable[[], bool]:
    """Return whether another call may begin: for a share of the time that the activity has."""
    loop = asyncio.get_running_loop()
    limit = activity.info().start_to_close_timeout
    if limit is None:
        return lambda: True
    end = loop.time() + limit.total_seconds() * _SHARE_OF_TIME
    return lambda: loop.time() < end


def _tell(request: AnalyzeWindowInput, report: GeminiReport) -> None:
    if report.calls or report.counted:
        _log.info(
            "gemini_watched",
            tenant_id=str(request.tenant_id),
            stream_id=str(request.stream_id),
            calls=report.calls,
            tokens=report.usage.total,
            dollars=report.dollars,
            seconds=report.watched,
            counted=report.counted,
        )
