"""The multimodal analyzer: the local analyzer, and Gemini for chunks worth their price."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from temporalio import activity

from activities.analysis.chunk_analyzer import ChunkAnalyzer, ChunkRequest
from activities.analysis.gemini_answers import ANALYZER
from activities.analysis.local import LocalAnalysis
from activities.analysis.state_store import AnalyzerStateStore
from activities.heartbeat import heartbeating
from activities.interfaces import Analysis
from app.services.profiles import PinnedProfiles
from domain.analysis.gemini.chunks import GeminiState
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult, GeminiReport
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import Window
from domain.profiles.model import GameProfile
from infra.storage.segments import SegmentStore
from infra.telemetry.metrics import GEMINI_CHUNKS

_log = structlog.get_logger(__name__)

# Share of the time in which calls may begin; the rest is for finishing them.
_SHARE_OF_TIME: Final = 0.6


class GeminiAnalysis(Analysis):
    """Runs the local analyzer first, then Gemini on the chunks that end in the windows.

    State and paid answers are in the segment store, so that a retry on any worker continues from
    there and pays for nothing twice.

    Args:
        local: the local analyzer.
        chunk_analyzer: analyzes chunks.
        segments: stores the state.
        profiles: profiles that streams were started with.
    """

    def __init__(
        self,
        *,
        local: LocalAnalysis,
        chunk_analyzer: ChunkAnalyzer,
        segments: SegmentStore,
        profiles: PinnedProfiles,
    ) -> None:
        self._local = local
        self._chunk_analyzer = chunk_analyzer
        self._states = AnalyzerStateStore(
            segments, analyzer=ANALYZER, initial=GeminiState(), reset_event="watching_starts_anew"
        )
        self._profiles = profiles

    @activity.defn(name="analyze_window")
    async def analyze_window(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        limit = activity.info().start_to_close_timeout
        async with heartbeating():
            return await self.run(request, seconds=limit.total_seconds() if limit else None)

    async def run(
        self, request: AnalyzeWindowInput, *, seconds: float | None = None
    ) -> AnalyzeWindowResult:
        """Analyze windows within `seconds`, also inside another activity."""
        has_time = _time_limit(seconds)
        local, levels = await self._local.analyze(request)
        profile = await self._profiles.find_or_shipped(
            request.tenant_id, request.profile_id, request.profile_version
        )
        state = await self._states.load(request)
        run = _RequestRun(self._chunk_analyzer, request, profile, state)
        for window, settled, level in _by_window(request.windows, local, levels):
            run.state = run.state.with_window(window, settled, rank=level)
            if window is not request.windows[-1]:
                await run.analyze_due_chunk(has_time)
        if not request.windows:
            run.state = run.state.with_candidates(local.candidates)
        await run.analyze_due_chunk(has_time, last=request.last)
        await self._states.save(request, run.state)
        _log_report(request, run.report)
        watermark = local.watermark
        if not request.last:
            watermark = min(watermark, run.state.published_until)
        analyzer = local.analyzer
        if run.report.has_analysis:
            analyzer = self._chunk_analyzer.analyzer(profile, run.report)
        return AnalyzeWindowResult(
            candidates=tuple(run.candidates),
            watermark=watermark,
            undecodable_segments=local.undecodable_segments,
            analyzer=analyzer,
            gemini=run.report,
            analyzed_seconds=local.analyzed_seconds,
            gaps=local.gaps,
            screen_off=local.screen_off,
        )


class _RequestRun:
    """Progress of one request: the state, the published candidates, and the cost."""

    def __init__(
        self,
        chunk_analyzer: ChunkAnalyzer,
        request: AnalyzeWindowInput,
        profile: GameProfile,
        state: GeminiState,
    ) -> None:
        self._chunk_analyzer = chunk_analyzer
        self._request = request
        self._profile = profile
        self.state = state
        self.candidates: list[HighlightCandidate] = []
        self.report = GeminiReport()

    async def analyze_due_chunk(self, has_time: Callable[[], bool], *, last: bool = False) -> None:
        """Analyze the chunk that has ended, if one has; at the end of the stream the `last` one.

        Candidates with a cached verdict are published first, without another call.
        """
        cached, self.state = self.state.apply_cached_verdicts()
        if cached:
            self.candidates += cached
            self.report = self.report.plus(GeminiReport(counted={"told_again": len(cached)}))
        chunk = self.state.due_chunk(last=last)
        if chunk is None:
            return
        result = await self._chunk_analyzer.analyze(
            ChunkRequest(
                tenant_id=self._request.tenant_id,
                stream_id=self._request.stream_id,
                chunk=chunk,
                state=self.state,
                profile=self._profile,
                has_time=has_time,
            )
        )
        published = result.published
        for reason, chunks in result.report.pieces.items():
            GEMINI_CHUNKS.labels(reason.value).inc(chunks)
        self.state = self.state.after_chunk(
            chunk, published.candidates, result.gate, published.verdicts
        )
        self.candidates += published.candidates
        self.report = self.report.plus(result.report)


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


def _time_limit(seconds: float | None) -> Callable[[], bool]:
    """Return a function that returns True while another call may begin within `seconds`."""
    if seconds is None:
        return lambda: True
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds * _SHARE_OF_TIME
    return lambda: loop.time() < end


def _log_report(request: AnalyzeWindowInput, report: GeminiReport) -> None:
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
