"""Analysis of one chunk: decides whether Gemini analyzes it, and falls back if that fails.

Whatever happens, the local analyzer's candidates are published: without Gemini's result if there is
none, and with the reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.analysis.gemini_answers import ChunkAnswers, GeminiResources, GeminiSpending
from domain.analysis.detector import ANALYZER as LOCAL
from domain.analysis.gemini.budget import (
    ChunkValue,
    CircuitBreaker,
    GateLimits,
    GateReason,
    GateState,
    evaluate_gate,
)
from domain.analysis.gemini.chunks import (
    Chunk,
    ChunkAnalysis,
    GeminiState,
    PublishedCandidates,
    publish_fused,
    publish_local_only,
    publish_unusable,
)
from domain.analysis.gemini.fusion import GeminiDetection
from domain.analysis.gemini.parsing import (
    DetectedMoment,
    FileSpan,
    Refinement,
    UnusableAnswerError,
    parse_assessment,
    parse_detections,
    parse_refinement,
)
from domain.analysis.gemini.pricing import serving_model
from domain.analysis.gemini.prompts import AROUND_MOMENT, AROUND_PEAK, QueryBuilder
from domain.analysis.messages import GeminiReport
from domain.profiles.model import GameProfile
from infra.gemini import (
    GeminiAccessError,
    GeminiBusyError,
    GeminiError,
    GeminiModelError,
    VideoUnusableError,
)

_log = structlog.get_logger(__name__)

RETRY_TYPE: Final = "GeminiUnavailable"
"""Error type of the failure with which an analysis asks Temporal for a retry."""

_MOST_REFINED_MOMENTS: Final = 3
# Of the five attempts of the stream's workflow. Later attempts do not call Gemini, whatever the
# earlier ones failed of, including a timeout or a killed worker.
_ATTEMPTS: Final = 3
_LONGEST_RETRY_DELAY: Final = 20.0
_DEFAULT_RETRY_DELAY: Final = 1.0


class AnalyzedChunk(NamedTuple):
    """Gemini's analysis of a chunk, and its cost."""

    analysis: ChunkAnalysis
    report: GeminiReport


class AnalysisFailure(NamedTuple):
    """Why Gemini gave no analysis of a chunk, and what the attempt cost."""

    error: GeminiError | UnusableAnswerError
    report: GeminiReport


class GeminiAnalyzer:
    """Analyzes a chunk in three steps: detect its moments, refine their times, score them.

    Args:
        resources: clients and adapters.
        queries: model, prompts and language.
        by_profile: the same for single profiles, by profile id.
    """

    def __init__(
        self,
        resources: GeminiResources,
        queries: QueryBuilder,
        by_profile: Mapping[str, QueryBuilder] | None = None,
    ) -> None:
        self._resources = resources
        self._queries = queries
        self._by_profile = by_profile or {}
        self._serving: dict[str, str] = {}

    def queries(self, profile: GameProfile) -> QueryBuilder:
        """Return the queries for a game."""
        return self._by_profile.get(profile.id, self._queries)

    def expected_dollars(self, chunk: Chunk, profile: GameProfile) -> float:
        """Return the expected cost of analyzing a chunk, at the price of the serving model."""
        queries, now = self.queries(profile), datetime.now(UTC)
        serving = self._serving.get(queries.model) or serving_model(queries.model, now)
        price = self._resources.prices.price(serving, now)
        return queries.expected_dollars(chunk, profile, price, serving=serving)

    async def analyze(
        self,
        chunk: Chunk,
        profile: GameProfile,
        *,
        tenant_id: UUID,
        stream_id: UUID,
        has_time: Callable[[], bool],
        may_buy: bool = True,
    ) -> AnalyzedChunk | AnalysisFailure:
        """Analyze a chunk.

        Args:
            chunk: the chunk.
            profile: profile of its game.
            tenant_id: owner of the stream.
            stream_id: the stream.
            has_time: returns True while another call may begin; moments left over are unclear.
            may_buy: False if only stored answers may be used.
        """
        queries = self.queries(profile)
        async with AsyncExitStack() as stack:
            answers = ChunkAnswers(
                self._resources,
                chunk,
                stack,
                tenant_id=tenant_id,
                stream_id=stream_id,
                may_buy=may_buy,
            )
            try:
                analysis = await _ChunkQueries(answers, queries, profile).run(chunk, has_time)
            except (GeminiError, UnusableAnswerError) as error:
                return AnalysisFailure(error, answers.report)
            finally:
                self._note_serving(queries.model, answers.report)
            return AnalyzedChunk(analysis, answers.report)

    def _note_serving(self, requested: str, report: GeminiReport) -> None:
        """Remember which model serves the requested one, for `expected_dollars`."""
        if report.models and not report.rerouted:
            self._serving.pop(requested, None)
        self._serving |= report.rerouted


class _ChunkQueries:
    """The queries about one chunk, and the counts of corrections and omissions."""

    def __init__(self, answers: ChunkAnswers, queries: QueryBuilder, profile: GameProfile) -> None:
        self._answers = answers
        self._queries = queries
        self._profile = profile
        self._counted: Counter[str] = Counter()

    async def run(self, chunk: Chunk, has_time: Callable[[], bool]) -> ChunkAnalysis:
        stored = await self._answers.get(self._queries.detect(chunk, self._profile))
        detected = parse_detections(stored.answer, stored.file, self._profile)
        self._counted.update(detected.counted)
        detections: list[GeminiDetection] = []
        unclear: list[float] = []
        for rank, each in enumerate(sorted(detected.moments, key=lambda moment: -moment.certainty)):
            if rank >= _MOST_REFINED_MOMENTS or not has_time():
                self._counted["not_looked_at"] += 1
                unclear.append(each.peak)
                continue
            try:
                detection = await self._detection(each, stored.file)
            except UnusableAnswerError as error:
                self._counted[error.reason] += 1
                unclear.append(each.peak)
                continue
            if detection is not None:
                detections.append(detection)
        return ChunkAnalysis(
            detections=tuple(detections), unclear=tuple(unclear), counted=dict(+self._counted)
        )

    async def _detection(self, moment: DetectedMoment, file: FileSpan) -> GeminiDetection | None:
        """Return a moment with refined times and scores; None if the refine query denies it."""
        refined = await self._refined(moment, file)
        if refined is None:
            self._counted["not_there"] += 1
            return None
        start, end = _within(file, refined.start - AROUND_MOMENT, refined.end + AROUND_MOMENT)
        stored = await self._answers.get(self._queries.score(self._profile, start=start, end=end))
        assessment = parse_assessment(stored.answer, self._profile)
        self._counted.update(assessment.counted)
        return GeminiDetection(
            start=refined.start,
            peak=refined.peak,
            end=refined.end,
            kind=moment.kind,
            certainty=moment.certainty,
            score=assessment.score,
            tags=assessment.tags,
            title=assessment.title,
            description=assessment.description,
            corrections=(*moment.corrections, *refined.corrections),
            titles=assessment.titles,
            moderation=assessment.moderation,
        )

    async def _refined(self, moment: DetectedMoment, file: FileSpan) -> Refinement | None:
        """Return refined times; those of the detect query if the refine answer is unusable."""
        start, end = _within(file, moment.peak - AROUND_PEAK, moment.peak + AROUND_PEAK)
        query = self._queries.refine(self._profile, start=start, end=end, kind=moment.kind)
        stored = await self._answers.get(query)
        try:
            return parse_refinement(stored.answer, file, excerpt_start=start, detected=moment)
        except UnusableAnswerError as error:
            self._counted[error.reason] += 1
            return Refinement(start=moment.start, peak=moment.peak, end=moment.end)


def _within(file: FileSpan, start: float, end: float) -> tuple[float, float]:
    """Convert two points of media time (s) to seconds of the file, at least a second apart."""
    first = min(max(0.0, start - file.start), max(0.0, file.end - file.start - 1.0))
    last = max(first + 1.0, min(end, file.end) - file.start)
    return round(first, 3), round(last, 3)


class ChunkRequest(NamedTuple):
    """A chunk to analyze, with its context.

    Attributes:
        has_time: returns True while another Gemini call may begin.
    """

    tenant_id: UUID
    stream_id: UUID
    chunk: Chunk
    state: GeminiState
    profile: GameProfile
    has_time: Callable[[], bool]


class ChunkResult(NamedTuple):
    """The candidates of a chunk, the cost, and the gate's state after it."""

    published: PublishedCandidates
    report: GeminiReport
    gate: GateState


class ChunkAnalyzer:
    """Applies cost gate, budget and circuit breaker, then runs the Gemini analyzer.

    Args:
        gemini: analyzes chunks.
        spending: returns what a tenant may still spend.
        limits: cost limits of a stream.
    """

    def __init__(
        self, gemini: GeminiAnalyzer, spending: GeminiSpending, limits: GateLimits
    ) -> None:
        self._gemini = gemini
        self._spending = spending
        self._limits = limits
        # By model, since one may be refused while others answer; and the cause of the last failure.
        self._circuits: dict[str, CircuitBreaker] = {}
        self._causes: dict[str, GateReason] = {}

    def analyzer(self, profile: GameProfile, report: GeminiReport) -> str:
        """Return the combined analyzer's name, including the model that answered."""
        return f"{LOCAL}+{self._gemini.queries(profile).analyzer(report.main_model)}"

    async def analyze(self, request: ChunkRequest) -> ChunkResult:
        """Analyze a chunk and return its candidates.

        Raises:
            ApplicationError: Gemini is temporarily unavailable, and there are attempts left.
        """
        value = self._value(request)
        decision = evaluate_gate(
            request.state.gate,
            value,
            self._limits,
            tenant_left=await self._spending.remaining_dollars(request.tenant_id),
        )
        if not decision.query:
            return _without_gemini(request, value, decision.reason)
        if not request.chunk.segments:
            return _without_gemini(request, value, GateReason.FAILED)
        obstacle = self._obstacle(request)
        model = self._gemini.queries(request.profile).model
        if obstacle is None:
            self._circuits[model] = self._circuit(model).with_attempt(_now())
        result = await self._gemini.analyze(
            request.chunk,
            request.profile,
            tenant_id=request.tenant_id,
            stream_id=request.stream_id,
            has_time=request.has_time,
            may_buy=obstacle is None,
        )
        if obstacle is not None and isinstance(result, AnalysisFailure):
            missing = (model,) if obstacle is GateReason.NO_MODEL else ()
            spent = result.report.plus(GeminiReport(missing=missing))
            return _without_gemini(request, value, obstacle, spent)
        if isinstance(result, AnalysisFailure):
            return self._failed(request, value, result, model)
        if obstacle is None:
            self._succeeded(model)
        return self._analyzed(request, value, decision.reason, result)

    def _obstacle(self, request: ChunkRequest) -> GateReason | None:
        """Return why no answer may be bought now; None if it may."""
        if not request.has_time():
            return GateReason.LATE
        model = self._gemini.queries(request.profile).model
        if activity.info().attempt > _ATTEMPTS or not self._circuit(model).allows(_now()):
            return self._causes.get(model, GateReason.DOWN)
        return None

    def _circuit(self, model: str) -> CircuitBreaker:
        return self._circuits.setdefault(model, CircuitBreaker())

    def _succeeded(self, model: str) -> None:
        self._circuits[model] = self._circuit(model).succeeded()
        self._causes.pop(model, None)

    def _analyzed(
        self, request: ChunkRequest, value: ChunkValue, reason: GateReason, result: AnalyzedChunk
    ) -> ChunkResult:
        published = publish_fused(
            request.chunk,
            result.analysis,
            request.state,
            tenant_id=request.tenant_id,
            stream_id=request.stream_id,
            analyzer=self.analyzer(request.profile, result.report),
        )
        report = result.report.plus(GeminiReport(pieces={reason: 1}, counted=published.counted))
        seconds = request.chunk.video_seconds
        gate = request.state.gate.after(value, watched=seconds, spent=report.dollars)
        return ChunkResult(published, report, gate)

    def _failed(
        self, request: ChunkRequest, value: ChunkValue, failure: AnalysisFailure, model: str
    ) -> ChunkResult:
        """Ask Temporal for a retry, or continue without Gemini."""
        error, spent = failure
        if isinstance(error, UnusableAnswerError):
            self._succeeded(model)
            published = publish_unusable(
                request.chunk, analyzer=self.analyzer(request.profile, spent)
            )
            counted = GeminiReport(counted={error.reason: 1})
            result = _without_gemini(request, value, GateReason.FAILED, spent.plus(counted))
            return result._replace(published=published)
        if not isinstance(error, GeminiBusyError | VideoUnusableError):
            self._circuits[model] = self._circuit(model).failed(_now())
            self._causes[model] = _reason_of(error)
        delay = _DEFAULT_RETRY_DELAY if error.retry_after is None else error.retry_after
        attempt = activity.info().attempt
        _log.warning(
            "gemini_failed",
            tenant_id=str(request.tenant_id),
            stream_id=str(request.stream_id),
            error=str(error),
            attempt=attempt,
            retry_after=error.retry_after,
        )
        if error.retryable and attempt < _ATTEMPTS and delay <= _LONGEST_RETRY_DELAY:
            raise ApplicationError(
                str(error), type=RETRY_TYPE, next_retry_delay=timedelta(seconds=delay)
            ) from error
        return _without_gemini(request, value, _reason_of(error), spent)

    def _value(self, request: ChunkRequest) -> ChunkValue:
        chunk = request.chunk
        return ChunkValue(
            seconds=chunk.seconds,
            video_seconds=chunk.video_seconds,
            rank=chunk.rank,
            has_moment=bool(chunk.candidates),
            promising=any(
                each.score.calculate_combined_score(request.profile.weights)
                >= request.profile.thresholds.standard
                for each in chunk.candidates
            ),
            dollars=self._gemini.expected_dollars(chunk, request.profile),
            sample=chunk.sample(request.stream_id),
        )


def _without_gemini(
    request: ChunkRequest, value: ChunkValue, reason: GateReason, spent: GeminiReport | None = None
) -> ChunkResult:
    """Return the local candidates alone; `spent` is what a failed analysis cost."""
    report = (spent or GeminiReport()).plus(GeminiReport(pieces={reason: 1}))
    gate = request.state.gate.after(value, spent=report.dollars)
    return ChunkResult(publish_local_only(request.chunk, reason), report, gate)


def _reason_of(error: GeminiError) -> GateReason:
    if isinstance(error, GeminiBusyError):
        return GateReason.BUSY
    if isinstance(error, GeminiModelError):
        return GateReason.NO_MODEL
    if isinstance(error, GeminiAccessError):
        return GateReason.NO_ACCESS
    return GateReason.DOWN if error.retryable else GateReason.FAILED


def _now() -> float:
    return asyncio.get_running_loop().time()
