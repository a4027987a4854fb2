"""The product's analyzer on a stream, from stored segments to confirmed clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from temporalio.testing import ActivityEnvironment

from activities.analysis.chunk_analyzer import (
    ChunkAnalyzer,
    ChunkRequest,
    ChunkResult,
    GeminiAnalyzer,
)
from activities.analysis.gemini import GeminiAnalysis
from activities.analysis.gemini_answers import GeminiResources
from activities.analysis.local import LocalAnalysis, LocalResult
from activities.interfaces import Analysis
from benchmarks.cost_gate.bill import Bill, BilledClient
from benchmarks.cost_gate.stream import LongStream
from benchmarks.quality.metrics import Interval
from domain.analysis.gemini.budget import GateLimits, GateReason, GateState
from domain.analysis.gemini.chunks import CHUNK_LEAD
from domain.analysis.gemini.pricing import TokenUsage
from domain.analysis.gemini.prompts import QueryBuilder
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus, HighlightSelector, SelectionState
from domain.profiles.model import GameProfile
from infra.gemini import GeminiOptions, GeminiQuota, QuotaLimits
from infra.media.pool import MediaPool
from infra.storage.segments import SegmentStore
from tests.fakes.gemini import KEY, FakeGemini

_TENANT: Final = UUID(int=1)
_HEARD: Final = UUID(int=2)
_NO_LIMITS: Final = GateLimits(dollars_per_hour=1e9, video_share=1.0, sampled_share=1.0)
_NOTHING_USED: Final = GateState(passed=1e9)
# A stream is watched faster than it lasts, so that a quota by the minute means nothing.
_NO_QUOTA: Final = QuotaLimits(requests_per_minute=10**6, tokens_per_minute=10**9)
_TIMEOUT: Final = timedelta(minutes=10)


class Seen(NamedTuple):
    """Results of a stream: clips as a tenant gets them, all candidates, and the calls made."""

    clips: tuple[Interval, ...]
    candidates: tuple[HighlightCandidate, ...]
    bill: Bill
    pieces: Counter[GateReason]


class Analyzers:
    """The local analyzer, and Gemini behind the gate or without it, on one stream.

    Args:
        fake_gemini: the server that answers.
        questions: model and prices.
        pool: child processes that read media.
        stream: the stream to analyze.
        profile: profile of its game.
    """

    def __init__(
        self,
        fake_gemini: FakeGemini,
        questions: QueryBuilder,
        pool: MediaPool,
        *,
        stream: LongStream,
        profile: GameProfile,
    ) -> None:
        self._gemini = fake_gemini
        self._questions = questions
        self._pool = pool
        self._stream = stream
        self._profile = profile
        self._local = _HeardOnce(segments=stream.store, pool=pool)

    async def local(self) -> Seen:
        """Return the results of the local analyzer alone."""
        return await _follow(
            self._local, self._stream, self._profile, stream_id=_HEARD, bill=Bill()
        )

    async def gated(self, limits: GateLimits) -> Seen:
        """Return the results within the gate's limits."""
        return await self._watched("gated", ChunkAnalyzer, limits)

    async def ungated(self) -> Seen:
        """Return the results without the gate."""
        return await self._watched("ungated", _OpenGate, _NO_LIMITS)

    async def _watched(
        self, name: str, chunk_analyzer: type[ChunkAnalyzer], limits: GateLimits
    ) -> Seen:
        client = BilledClient(KEY, GeminiOptions(base_url=self._gemini.url))
        spending: Any = _OpenPurse()
        resources = GeminiResources(
            client=client,
            quota=GeminiQuota(_NO_QUOTA),
            spending=spending,
            segments=self._stream.store,
            pool=self._pool,
        )
        profiles: Any = _OneProfile(self._profile)
        analysis = GeminiAnalysis(
            local=self._local,
            chunk_analyzer=chunk_analyzer(
                GeminiAnalyzer(resources, self._questions), spending, limits
            ),
            segments=self._stream.store,
            profiles=profiles,
        )
        stream_id = uuid5(_HEARD, f"{self._profile.id}/{name}")
        try:
            return await _follow(
                analysis, self._stream, self._profile, stream_id=stream_id, bill=client.bill
            )
        finally:
            await client.close()


class _HeardOnce(LocalAnalysis):
    """The local analyzer, which caches the measurements of each window."""

    def __init__(self, *, segments: SegmentStore, pool: MediaPool) -> None:
        super().__init__(segments=segments, pool=pool)
        self._heard: dict[int, LocalResult] = {}

    async def analyze(self, request: AnalyzeWindowInput) -> LocalResult:
        (window,) = request.windows
        if window.index not in self._heard:
            self._heard[window.index] = await super().analyze(
                request.model_copy(update={"stream_id": _HEARD})
            )
        return self._heard[window.index]


class _OpenGate(ChunkAnalyzer):
    """Sends every chunk in full, including its lead-in."""

    async def analyze(self, case: ChunkRequest) -> ChunkResult:
        first = case.chunk.start - CHUNK_LEAD
        whole = tuple(each for each in case.state.segments if each.end > first)
        return await super().analyze(
            case._replace(
                chunk=case.chunk.model_copy(update={"segments": whole}),
                state=case.state.model_copy(update={"gate": _NOTHING_USED}),
            )
        )


class _OpenPurse:
    """A tenant's budget without limit, since the gate's limits are measured."""

    async def record(
        self, tenant_id: UUID, stream_id: UUID, *, key: str, tokens: TokenUsage, dollars: float
    ) -> None:
        """Do nothing: the client's bill meters the calls."""

    async def remaining_dollars(self, _tenant_id: UUID) -> float:
        """Return the remaining budget."""
        return float("inf")


class _OneProfile:
    """The pinned profiles of a database, all the same."""

    def __init__(self, profile: GameProfile) -> None:
        self._profile = profile

    async def find_or_shipped(
        self, _tenant_id: UUID, _profile_id: str, _version: str
    ) -> GameProfile:
        """Return the one there is."""
        return self._profile


async def _follow(
    analysis: Analysis, stream: LongStream, profile: GameProfile, *, stream_id: UUID, bill: Bill
) -> Seen:
    """Analyse and select as a stream's workflow does, window by window, in order."""
    selector, selection = HighlightSelector(profile), SelectionState()
    candidates: list[HighlightCandidate] = []
    decided: dict[UUID, Decision] = {}
    pieces: Counter[GateReason] = Counter()
    for window in stream.windows:
        last = window is stream.windows[-1]
        request = AnalyzeWindowInput(
            tenant_id=_TENANT,
            stream_id=stream_id,
            windows=(window,),
            previous_window=window.index - 1 if window.index else None,
            profile_id=profile.id,
            profile_version="1",
            last=last,
        )
        result = await _run(analysis, request)
        candidates += result.candidates
        if result.gemini is not None:
            pieces.update(result.gemini.pieces)
        chosen = selector.select(
            selection, result.candidates, watermark=result.watermark, ended=last
        )
        selection = chosen.state
        decided.update((each.highlight_id, each) for each in chosen.decisions)
    return Seen(tuple(_clips(decided.values())), tuple(candidates), bill, pieces)


async def _run(analysis: Analysis, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, start_to_close_timeout=_TIMEOUT)
    return await environment.run(analysis.analyze_window, request)


def _clips(decisions: Iterable[Decision]) -> Iterable[Interval]:
    for each in decisions:
        if each.status is DecisionStatus.CONFIRMED:
            yield Interval(start=each.clip_start, end=each.clip_end, score=each.score)
