"""The local analyzer: measures signals in a media child process and detects moments in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import structlog
from temporalio import activity

from activities.analysis.state_store import AnalyzerStateStore
from activities.heartbeat import heartbeating
from activities.interfaces import Analysis
from activities.tenant_turns import TenantTurns
from app.services.feed.feed_service import FeedService
from app.services.profiles import PinnedProfiles
from domain.analysis.baseline import FRAME_HISTORY, highest_level
from domain.analysis.detector import ANALYZER, DetectorState, advance
from domain.analysis.fusion import load_fusion
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.analysis.screen import ScreenMemory
from domain.analysis.signals import SegmentSignals, measured_seconds, undecodable_gaps
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import SegmentRef, TimedMetadata
from domain.media.timestamps import anchor_of
from domain.profiles.model import FillMethod, GameProfile, Hud
from infra.db.engine import DatabaseUnavailableError
from infra.media.pool import MediaPool
from infra.media.signals import SegmentFile, measure_segments
from infra.storage.segments import SegmentStore, UnknownKeyError

_log = structlog.get_logger(__name__)


class LocalResult(NamedTuple):
    """Result of the local analyzer, with what only the Gemini analyzer needs.

    Attributes:
        result: the activity's result.
        levels: highest excitement in each window, in robust standard deviations.
    """

    result: AnalyzeWindowResult
    levels: tuple[float, ...]


class LocalAnalysis(Analysis):
    """Analyzes without a key or a GPU, at about a hundredth of a core for each 720p stream.

    Args:
        segments: stores media and state.
        pool: child processes that decode media.
        profiles: say what to read on the screen; without them nothing is read.
        feed: events of the stream's feed; without it, only timed metadata marks moments.
    """

    def __init__(
        self,
        *,
        segments: SegmentStore,
        pool: MediaPool,
        profiles: PinnedProfiles | None = None,
        feed: FeedService | None = None,
    ) -> None:
        self._segments = segments
        self._pool = pool
        self._profiles = profiles
        self._feed = feed
        # One more than the children, so that none waits for its next task.
        self._turns = TenantTurns(pool.processes + 1)
        self._states = AnalyzerStateStore(
            segments, analyzer=ANALYZER, initial=DetectorState(), reset_event="analysis_starts_anew"
        )

    @activity.defn(name="analyze_window")
    async def analyze_window(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        async with heartbeating():
            return await self.run(request)

    async def run(
        self,
        request: AnalyzeWindowInput,
        *,
        seconds: float | None = None,  # noqa: ARG002 only calls of Gemini are limited by it
    ) -> AnalyzeWindowResult:
        """Analyze windows, also inside another activity."""
        return (await self.analyze(request)).result

    async def analyze(self, request: AnalyzeWindowInput) -> LocalResult:
        """Return the activity's result together with the excitement of each window."""
        state = await self._states.load(request)
        profile = await self._profile(request)
        hud = None if profile is None else profile.hud
        fills = profile is not None and profile.selection.fill is FillMethod.BEST_OF
        fusion = load_fusion() if fills else None
        fed = await self._fed(request, since=state.position - FRAME_HISTORY)
        candidates: list[HighlightCandidate] = []
        undecodable: list[SegmentRef] = []
        analyzed_seconds: list[float] = []
        levels: list[float] = []
        for number, window in enumerate(request.windows):
            signals = await self._measure(request.tenant_id, window.segments, hud, state.reader)
            reader = _last_memory(signals)
            _report_screen(request, before=state.reader, after=reader)
            pairs = list(zip(window.segments, signals, strict=True))
            undecodable += (segment for segment, each in pairs if each is None)
            analyzed_seconds.append(measured_seconds(pairs))
            state, settled = advance(
                state,
                [frame for each in signals if each is not None for frame in each.frames],
                # Events of the feed count once: the detector remembers those that it has seen.
                (*window.metadata, *fed),
                tenant_id=request.tenant_id,
                stream_id=request.stream_id,
                clock=anchor_of(window.segments),
                commentary=window.commentary,
                screen=[each for one in signals if one is not None for each in one.readings],
                hud=hud,
                reader=reader,
                until=window.end,
                fusion=fusion,
                last=request.last and number == len(request.windows) - 1,
            )
            candidates += settled
            levels.append(highest_level(state.frames, since=window.start))
        if request.last and not request.windows:
            state, settled = advance(
                state,
                (),
                fed,
                tenant_id=request.tenant_id,
                stream_id=request.stream_id,
                fusion=fusion,
                last=True,
            )
            candidates += settled
        await self._states.save(request, state)
        result = AnalyzeWindowResult(
            candidates=tuple(candidates),
            watermark=state.position if request.last else state.watermark,
            undecodable_segments=len(undecodable),
            analyzer=ANALYZER,
            analyzed_seconds=tuple(analyzed_seconds),
            gaps=undecodable_gaps(undecodable),
            screen_off=None if hud is None or not request.windows else state.reader.off,
        )
        _report(request, undecodable)
        return LocalResult(result, tuple(levels))

    async def _fed(self, request: AnalyzeWindowInput, *, since: float) -> Sequence[TimedMetadata]:
        """Return the events of the feed as markers; none while the database is unavailable."""
        if self._feed is None or not request.fed:
            return ()
        try:
            return await self._feed.markers(
                tenant_id=request.tenant_id, stream_id=request.stream_id, since=since
            )
        except DatabaseUnavailableError as error:
            _log.warning("feed_not_read", stream_id=str(request.stream_id), error=str(error))
            return ()

    async def _profile(self, request: AnalyzeWindowInput) -> GameProfile | None:
        if self._profiles is None:
            return None
        return await self._profiles.find_or_shipped(
            request.tenant_id, request.profile_id, request.profile_version
        )

    async def _measure(
        self,
        tenant_id: UUID,
        segments: Sequence[SegmentRef],
        hud: Hud | None,
        reader: ScreenMemory,
    ) -> list[SegmentSignals | None]:
        files = [await self._file(segment) for segment in segments]
        stored = tuple(file for file in files if file is not None)
        measured = iter(await self._measure_files(tenant_id, stored, hud, reader))
        return [next(measured) if file is not None else None for file in files]

    async def _measure_files(
        self,
        tenant_id: UUID,
        files: tuple[SegmentFile, ...],
        hud: Hud | None,
        reader: ScreenMemory,
    ) -> Sequence[SegmentSignals | None]:
        """Measure all files in one child process; if that fails, each in its own process."""
        if not files:
            return ()
        try:
            async with self._turns.slot(tenant_id):
                return await self._pool.run(measure_segments, files, hud, reader)
        except Exception as error:  # noqa: BLE001 media may crash a child in any way
            _log.warning("segments_not_measured", segments=len(files), error=repr(error)[:200])
            if len(files) == 1:
                return (None,)
        measured: list[SegmentSignals | None] = []
        for file in files:
            measured += await self._measure_files(tenant_id, (file,), hud, reader)
            reader = _last_memory(measured) or reader
        return measured

    async def _file(self, segment: SegmentRef) -> SegmentFile | None:
        try:
            return SegmentFile(
                path=await self._segments.path(segment.key),
                init_path=await self._segments.path(segment.init_key) if segment.init_key else None,
                start=segment.start,
                duration=segment.duration,
                first_timestamp=segment.first_timestamp,
                audio_track=segment.audio_track,
            )
        except UnknownKeyError as error:
            _log.warning("segment_gone", key=error.key)
            return None


def _last_memory(signals: Sequence[SegmentSignals | None]) -> ScreenMemory | None:
    return next((one.screen for one in reversed(signals) if one and one.screen), None)


def _report_screen(
    request: AnalyzeWindowInput, *, before: ScreenMemory, after: ScreenMemory | None
) -> None:
    """Log once why the screen is not read."""
    if after is not None and after.off and after.off != before.off:
        _log.warning(
            "screen_not_read",
            tenant_id=str(request.tenant_id),
            stream_id=str(request.stream_id),
            reason=after.off,
        )


def _report(request: AnalyzeWindowInput, undecodable: Sequence[SegmentRef]) -> None:
    if undecodable:
        _log.warning(
            "media_undecodable",
            tenant_id=str(request.tenant_id),
            stream_id=str(request.stream_id),
            segments=len(undecodable),
            seconds=round(sum(segment.duration for segment in undecodable), 3),
            first=undecodable[0].media_sequence,
        )
