"""What Gemini's answers took, metered into the tenant's usage, and what is left of its budget.

The metered dollars are the budget's only book: every worker reads the same, restarts forgive
nothing, and a tenant is held back by the sums that it sees in its usage.

Gemini's answers about one piece of a stream: kept, so that none is paid for twice.

One piece of a stream, shown to Gemini in three looks.

Whether a piece is shown to Gemini, and what becomes of it when that fails.

Whatever happens, what the local analyzer has found in it is told: without Gemini's word where
there is none, and with the reason why.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from pydantic import NonNegativeFloat, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.analysis.detector import ANALYZER as LOCAL
from domain.analysis.gemini.budget import (
    ChunkValue,
    CircuitBreaker,
    GateLimits,
    GateReason,
    GateState,
    TenantBudget,
    TenantSpending,
    evaluate_gate,
)
from domain.analysis.gemini.chunks import Chunk, GeminiState
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
from domain.analysis.gemini.pricing import (
    PriceTable,
    TokenUsage,
    bare_name,
    same_model,
    serving_model,
)
from domain.analysis.gemini.prompts import AROUND_MOMENT, AROUND_PEAK, QueryBuilder
from domain.analysis.gemini.query import GeminiAnswer, GeminiQuery
from domain.analysis.gemini.report import GeminiReport
from domain.analysis.gemini.results import (
    ChunkAnalysis,
    PublishedCandidates,
    publish_fused,
    publish_local_only,
    publish_unusable,
)
from domain.model import Model
from domain.profiles.model import GameProfile
from domain.tenants.usage import UsageEvent, UsageKind, month_of, usage_event
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.repositories import usage
from infra.gemini import (
    GeminiAccessError,
    GeminiBusyError,
    GeminiClient,
    GeminiError,
    GeminiModelError,
    GeminiQuota,
    GeminiUnavailableError,
    Video,
    VideoUnusableError,
)
from infra.gemini.chunk_file import write_chunk
from infra.media.concat import SourceFile, SpliceError
from infra.media.pool import MediaError, MediaPool
from infra.storage.segments import SegmentStore, UnknownKeyError

_log = structlog.get_logger(__name__)


# What usage is counted in (domain/tenants/usage.py): less is nothing.
_LEAST: Final = 0.000_001


_HOUR: Final = timedelta(hours=1)


class GeminiSpending:
    """Meters answers, and reads what was metered.

    While the database is away nobody is held back, since each stream's own budget, which lies with
    its state, still holds; what is answered meanwhile is metered when it is next used.
    """

    def __init__(self, database: Database, budget: TenantBudget) -> None:
        self._database = database
        self._budget = budget

    async def enter(
        self, tenant_id: UUID, stream_id: UUID, *, key: str, tokens: TokenUsage, dollars: float
    ) -> None:
        """Meter an answer, which `key` names within its tenant: once, however often it is told."""
        used = {UsageKind.GEMINI_TOKENS: tokens.total, UsageKind.GEMINI_COST_USD: dollars}
        events: list[UsageEvent] = [
            usage_event(kind, quantity, subject=key, stream_id=stream_id)
            for kind, quantity in used.items()
            if quantity >= _LEAST
        ]
        try:
            async with self._database.session(tenant_id) as session:
                await usage.meter(session, tenant_id=tenant_id, events=events)
        except DatabaseUnavailableError as error:
            _log.warning(
                "gemini_not_metered",
                tenant_id=str(tenant_id),
                stream_id=str(stream_id),
                tokens=tokens.total,
                dollars=dollars,
                error=str(error),
            )

    async def left(self, tenant_id: UUID) -> float:
        """Return the dollars that the tenant may still spend now.

        Streams that ask at the same moment read the same rest: together they may pass it by the
        price of one look each.
        """
        now = datetime.now(UTC)
        hour = now.replace(minute=0, second=0, microsecond=0)
        kind = UsageKind.GEMINI_COST_USD
        try:
            async with self._database.session(tenant_id) as session:
                lately = await usage.stats(
                    session, tenant_id=tenant_id, since=hour, until=hour + _HOUR, kinds=(kind,)
                )
                month = await usage.used(
                    session, tenant_id=tenant_id, kind=kind, month=month_of(now)
                )
        except DatabaseUnavailableError as error:
            _log.warning("gemini_budget_unknown", tenant_id=str(tenant_id), error=str(error))
            return float("inf")
        spent = sum((each.quantity for each in lately), Decimal(0))
        return self._budget.left(TenantSpending(hour=float(spent), month=float(month)))


ANALYZER: Final = "gemini-1"
"""Name and version of what is remembered and kept; a new one starts afresh."""


@dataclass(frozen=True)
class GeminiResources:
    """What asking needs of the world."""

    client: GeminiClient
    quota: GeminiQuota
    spending: GeminiSpending
    segments: SegmentStore
    pool: MediaPool
    prices: PriceTable = field(default_factory=PriceTable)


class StoredAnswer(Model):
    """An answer as it lies in the segment store, and where the video lay that was watched.

    Attributes:
        dollars: its price when it was asked for, at the rates of the model that answered; None of
            one that was stored by a release that did not note it.
    """

    answer: GeminiAnswer
    file: FileSpan
    dollars: NonNegativeFloat | None = None


class ChunkAnswers:
    """Answers about one piece; its video is cut, and uploaded, when the first is to be paid for.

    Where nothing may be bought, those that are kept are used all the same: they are paid.

    Attributes:
        report: the calls whose answers were used.
    """

    def __init__(
        self,
        doors: GeminiResources,
        piece: Chunk,
        stack: AsyncExitStack,
        *,
        tenant_id: UUID,
        stream_id: UUID,
        may_buy: bool,
    ) -> None:
        self._doors = doors
        self._piece = piece
        self._stack = stack
        self._tenant_id = tenant_id
        self._stream_id = stream_id
        self._prefix = f"{tenant_id}/{stream_id}/analysis/{ANALYZER}/answers"
        self._may_buy = may_buy
        self._video: tuple[Video, FileSpan] | None = None
        self.report = GeminiReport()

    async def to(self, ask: GeminiQuery) -> StoredAnswer:
        """Return the answer that is kept, else one that is asked for, paid and kept.

        One that came empty or cut off is paid for too, and asked for once more with more room.

        Raises:
            GeminiError: there is none, for now or for good.
        """
        kept = await self._to(ask)
        shortfall = kept.answer.shortfall
        if shortfall is None:
            return kept
        self.report = self.report.plus(GeminiReport(counted={f"{shortfall}_once": 1}))
        return await self._to(ask.wider())

    async def _to(self, ask: GeminiQuery) -> StoredAnswer:
        key = f"{self._prefix}/{ask.key(self._piece.segments)}.json"
        kept = await self._kept(key)
        if kept is None and not self._may_buy:
            raise GeminiUnavailableError("nothing is bought in this attempt")
        if kept is None:
            kept = await self._buy(ask)
            data = kept.model_dump_json().encode()
            # Before anything else, and though the activity may be cancelled: it is paid for.
            await asyncio.shield(self._doors.segments.put(key, data))
            self._tell(ask, kept)
        dollars = self._dollars(ask, kept)
        await self._meter(key, kept.answer.usage, dollars)
        self.report = self.report.plus(self._reported(ask, kept.answer, dollars))
        return kept

    def _dollars(self, ask: GeminiQuery, kept: StoredAnswer) -> float:
        if kept.dollars is not None:
            return kept.dollars
        return self._price(ask, kept.answer)

    def _price(self, ask: GeminiQuery, answer: GeminiAnswer) -> float:
        price = self._doors.prices.price(answer.model or ask.model, datetime.now(UTC))
        return price.dollars(answer.usage)

    def _reported(self, ask: GeminiQuery, answer: GeminiAnswer, dollars: float) -> GeminiReport:
        model = bare_name(answer.model or ask.model)
        return GeminiReport(
            calls=1,
            usage=answer.usage,
            dollars=dollars,
            watched=ask.excerpt.seconds,
            models={model: 1},
            rerouted={} if same_model(ask.model, model) else {ask.model: model},
            unpriced=() if self._doors.prices.knows(model) else (model,),
        )

    async def _kept(self, key: str) -> StoredAnswer | None:
        try:
            return StoredAnswer.model_validate_json(await self._doors.segments.read(key))
        except UnknownKeyError:
            return None
        except ValidationError:
            _log.warning("gemini_answer_unreadable", key=key)
            return None

    async def _buy(self, ask: GeminiQuery) -> StoredAnswer:
        if self._video is None:
            self._video = await self._cut()
        video, file = self._video
        await self._doors.quota.take(self._tenant_id, ask.at_most().total)
        try:
            answer = await self._doors.client.ask(ask, video)
        except GeminiModelError:
            self.report = self.report.plus(GeminiReport(missing=(ask.model,)))
            raise
        return StoredAnswer(answer=answer, file=file, dollars=self._price(ask, answer))

    async def _meter(self, key: str, usage: TokenUsage, dollars: float) -> None:
        """Meter an answer each time it is used: one that could not be metered before is then."""
        await asyncio.shield(
            self._doors.spending.enter(
                self._tenant_id,
                self._stream_id,
                key=key,
                tokens=usage,
                dollars=dollars,
            )
        )

    def _tell(self, ask: GeminiQuery, kept: StoredAnswer) -> None:
        answer = kept.answer
        if not same_model(ask.model, answer.model):
            _log.warning("gemini_model_replaced", asked=ask.model, answered=answer.model)
        _log.info(
            "gemini_answered",
            tenant_id=str(self._tenant_id),
            step=ask.step.value,
            prompt=ask.version,
            model=answer.model,
            finish=answer.finish or answer.blocked,
            tokens=answer.usage.total,
            dollars=kept.dollars,
            widened=ask.widened,
        )

    async def _cut(self) -> tuple[Video, FileSpan]:
        """Write the piece as a file for as long as it is asked about."""
        segments = self._piece.segments
        first = segments[0].start
        target = (await self._doors.segments.scratch()).with_suffix(".mp4")
        self._stack.callback(target.unlink, missing_ok=True)
        try:
            sources = [
                SourceFile(
                    path=await self._doors.segments.path(segment.key),
                    first_timestamp=segment.first_timestamp,
                    start=segment.start - first,
                    duration=segment.duration,
                    audio_track=segment.audio_track,
                )
                for segment in segments
            ]
            written = await self._doors.pool.run(write_chunk, tuple(sources), target)
        except (UnknownKeyError, SpliceError, MediaError, OSError) as error:
            raise VideoUnusableError(f"the piece cannot be shown: {error}") from error
        start = first + written.start
        video = await self._stack.enter_async_context(self._doors.client.video(target))
        return video, FileSpan(start=start, end=start + written.duration)


_MOST_CLOSE_LOOKS: Final = 3


class AnalyzedChunk(NamedTuple):
    """What a look brought, and what it cost."""

    look: ChunkAnalysis
    report: GeminiReport


class AnalysisFailure(NamedTuple):
    """Why a look brought nothing, and what it cost all the same."""

    error: GeminiError | UnusableAnswerError
    report: GeminiReport


class GeminiAnalyzer:
    """Detects, looks closely and scores.

    Args:
        doors: how to ask.
        questions: what to ask, of whom.
        by_profile: the same for single profiles, by their ids.
    """

    def __init__(
        self,
        doors: GeminiResources,
        questions: QueryBuilder,
        by_profile: Mapping[str, QueryBuilder] | None = None,
    ) -> None:
        self._doors = doors
        self._questions = questions
        self._by_profile = by_profile or {}
        self._serving: dict[str, str] = {}

    def questions(self, profile: GameProfile) -> QueryBuilder:
        """Return what is asked about a game, and of whom."""
        return self._by_profile.get(profile.id, self._questions)

    def expected_dollars(self, piece: Chunk, profile: GameProfile) -> float:
        """Return what a look is expected to cost now, of the model that answers these days."""
        questions, now = self.questions(profile), datetime.now(UTC)
        serving = self._serving.get(questions.model) or serving_model(questions.model, now)
        price = self._doors.prices.price(serving, now)
        return questions.expected_dollars(piece, profile, price, serving=serving)

    async def watch(
        self,
        piece: Chunk,
        profile: GameProfile,
        *,
        tenant_id: UUID,
        stream_id: UUID,
        has_time: Callable[[], bool],
        may_buy: bool = True,
    ) -> AnalyzedChunk | AnalysisFailure:
        """Look at a piece; where `has_time` says no, what is left is unclear."""
        questions = self.questions(profile)
        async with AsyncExitStack() as stack:
            answers = ChunkAnswers(
                self._doors,
                piece,
                stack,
                tenant_id=tenant_id,
                stream_id=stream_id,
                may_buy=may_buy,
            )
            try:
                look = await _ChunkQueries(answers, questions, profile).look(piece, has_time)
            except (GeminiError, UnusableAnswerError) as error:
                return AnalysisFailure(error, answers.report)
            finally:
                self._note_serving(questions.model, answers.report)
            return AnalyzedChunk(look, answers.report)

    def _note_serving(self, asked: str, report: GeminiReport) -> None:
        """Remember which model answers for the one asked, for what a look is expected to cost."""
        if report.models and not report.rerouted:
            self._serving.pop(asked, None)
        self._serving |= report.rerouted


class _ChunkQueries:
    """The looks at one piece, and what has been counted on the way."""

    def __init__(
        self, answers: ChunkAnswers, questions: QueryBuilder, profile: GameProfile
    ) -> None:
        self._answers = answers
        self._questions = questions
        self._profile = profile
        self._counted: Counter[str] = Counter()

    async def look(self, piece: Chunk, has_time: Callable[[], bool]) -> ChunkAnalysis:
        kept = await self._answers.to(self._questions.detect(piece, self._profile))
        detected = parse_detections(kept.answer, kept.file, self._profile)
        self._counted.update(detected.counted)
        sightings: list[GeminiDetection] = []
        unclear: list[float] = []
        for rank, each in enumerate(sorted(detected.moments, key=lambda moment: -moment.certainty)):
            if rank >= _MOST_CLOSE_LOOKS or not has_time():
                self._counted["not_looked_at"] += 1
                unclear.append(each.peak)
                continue
            try:
                sighting = await self._closely(each, kept.file)
            except UnusableAnswerError as error:
                self._counted[error.reason] += 1
                unclear.append(each.peak)
                continue
            if sighting is not None:
                sightings.append(sighting)
        return ChunkAnalysis(
            sightings=tuple(sightings), unclear=tuple(unclear), counted=dict(+self._counted)
        )

    async def _closely(self, detection: DetectedMoment, file: FileSpan) -> GeminiDetection | None:
        """Return the moment with exact times and its worth; None when it is not there."""
        refined = await self._exactly(detection, file)
        if refined is None:
            self._counted["not_there"] += 1
            return None
        start, end = _within(file, refined.start - AROUND_MOMENT, refined.end + AROUND_MOMENT)
        kept = await self._answers.to(self._questions.score(self._profile, start=start, end=end))
        worth = parse_assessment(kept.answer, self._profile)
        self._counted.update(worth.counted)
        return GeminiDetection(
            start=refined.start,
            peak=refined.peak,
            end=refined.end,
            kind=detection.kind,
            certainty=detection.certainty,
            score=worth.score,
            tags=worth.tags,
            title=worth.title,
            description=worth.description,
            corrections=(*detection.corrections, *refined.corrections),
        )

    async def _exactly(self, detection: DetectedMoment, file: FileSpan) -> Refinement | None:
        """Return exact times: those of the first look, where the second gives none of use."""
        start, end = _within(file, detection.peak - AROUND_PEAK, detection.peak + AROUND_PEAK)
        ask = self._questions.refine(self._profile, start=start, end=end, kind=detection.kind)
        kept = await self._answers.to(ask)
        try:
            return parse_refinement(kept.answer, file, excerpt_start=start, detected=detection)
        except UnusableAnswerError as error:
            self._counted[error.reason] += 1
            return Refinement(start=detection.start, peak=detection.peak, end=detection.end)


def _within(file: FileSpan, start: float, end: float) -> tuple[float, float]:
    """Return two points of media time (s) as points of the file, at least a second apart."""
    first = min(max(0.0, start - file.start), max(0.0, file.end - file.start - 1.0))
    last = max(first + 1.0, min(end, file.end) - file.start)
    return round(first, 3), round(last, 3)


RETRY_TYPE: Final = "GeminiUnavailable"
"""The type of the failure by which an analysis asks Temporal to be run again."""


# Of the five attempts of the stream's workflow; in the others Gemini is not asked, whatever the
# earlier ones failed of, a time-out or a killed worker included.
_ATTEMPTS: Final = 3


_LONGEST_DELAY: Final = 20.0


_DELAY: Final = 1.0


class ChunkRequest(NamedTuple):
    """A piece to decide on, and all that bears on it; `has_time` tells whether a call may begin."""

    tenant_id: UUID
    stream_id: UUID
    piece: Chunk
    state: GeminiState
    profile: GameProfile
    has_time: Callable[[], bool]


class ChunkResult(NamedTuple):
    """What is told of a piece, what it cost, and the gate's state after it."""

    told: PublishedCandidates
    report: GeminiReport
    gate: GateState


class ChunkAnalyzer:
    """Asks the gate, the budget and the circuit breaker, then the watcher.

    Args:
        watcher: who looks.
        spending: knows what a tenant may still spend.
        limits: of a stream.
    """

    def __init__(
        self, watcher: GeminiAnalyzer, spending: GeminiSpending, limits: GateLimits
    ) -> None:
        self._watcher = watcher
        self._spending = spending
        self._limits = limits
        # By model, since one may be refused while others answer; and what each failed of last.
        self._circuits: dict[str, CircuitBreaker] = {}
        self._causes: dict[str, GateReason] = {}

    def analyzer(self, profile: GameProfile, report: GeminiReport) -> str:
        """Return who has looked where Gemini has: both, with the model that answered."""
        return f"{LOCAL}+{self._watcher.questions(profile).analyzer(report.answered)}"

    async def decide(self, case: ChunkRequest) -> ChunkResult:
        """Decide on a piece and tell its moments.

        Raises:
            ApplicationError: Gemini cannot answer just now, and there are attempts left.
        """
        value = self._value(case)
        verdict = evaluate_gate(
            case.state.gate,
            value,
            self._limits,
            tenant_left=await self._spending.left(case.tenant_id),
        )
        if not verdict.look:
            return _without(case, value, verdict.grounds)
        if not case.piece.segments:
            return _without(case, value, GateReason.FAILED)
        obstacle = self._obstacle(case)
        model = self._watcher.questions(case.profile).model
        if obstacle is None:
            self._circuits[model] = self._circuit(model).tried(_now())
        watched = await self._watcher.watch(
            case.piece,
            case.profile,
            tenant_id=case.tenant_id,
            stream_id=case.stream_id,
            has_time=case.has_time,
            may_buy=obstacle is None,
        )
        if obstacle is not None and isinstance(watched, AnalysisFailure):
            missing = (model,) if obstacle is GateReason.NO_MODEL else ()
            spent = watched.report.plus(GeminiReport(missing=missing))
            return _without(case, value, obstacle, spent)
        if isinstance(watched, AnalysisFailure):
            return self._failed(case, value, watched, model)
        if obstacle is None:
            self._succeeded(model)
        return self._told(case, value, verdict.grounds, watched)

    def _obstacle(self, case: ChunkRequest) -> GateReason | None:
        """Return why nothing may be bought now; None when it may."""
        if not case.has_time():
            return GateReason.LATE
        model = self._watcher.questions(case.profile).model
        if activity.info().attempt > _ATTEMPTS or not self._circuit(model).admits(_now()):
            return self._causes.get(model, GateReason.DOWN)
        return None

    def _circuit(self, model: str) -> CircuitBreaker:
        return self._circuits.setdefault(model, CircuitBreaker())

    def _succeeded(self, model: str) -> None:
        self._circuits[model] = self._circuit(model).succeeded()
        self._causes.pop(model, None)

    def _told(
        self, case: ChunkRequest, value: ChunkValue, grounds: GateReason, watched: AnalyzedChunk
    ) -> ChunkResult:
        told = publish_fused(
            case.piece,
            watched.look,
            case.state,
            tenant_id=case.tenant_id,
            stream_id=case.stream_id,
            analyzer=self.analyzer(case.profile, watched.report),
        )
        report = watched.report.plus(GeminiReport(pieces={grounds: 1}, counted=told.counted))
        seconds = case.piece.watched_seconds
        gate = case.state.gate.after(value, watched=seconds, spent=report.dollars)
        return ChunkResult(told, report, gate)

    def _failed(
        self, case: ChunkRequest, value: ChunkValue, in_vain: AnalysisFailure, model: str
    ) -> ChunkResult:
        """Ask to be run again, or go on without Gemini."""
        error, spent = in_vain
        if isinstance(error, UnusableAnswerError):
            self._succeeded(model)
            told = publish_unusable(case.piece, analyzer=self.analyzer(case.profile, spent))
            counted = GeminiReport(counted={error.reason: 1})
            return _without(case, value, GateReason.FAILED, spent.plus(counted))._replace(told=told)
        if not isinstance(error, GeminiBusyError | VideoUnusableError):
            self._circuits[model] = self._circuit(model).failed(_now())
            self._causes[model] = _grounds(error)
        delay = _DELAY if error.retry_after is None else error.retry_after
        attempt = activity.info().attempt
        _log.warning(
            "gemini_failed",
            tenant_id=str(case.tenant_id),
            stream_id=str(case.stream_id),
            error=str(error),
            attempt=attempt,
            retry_after=error.retry_after,
        )
        if error.retryable and attempt < _ATTEMPTS and delay <= _LONGEST_DELAY:
            raise ApplicationError(
                str(error), type=RETRY_TYPE, next_retry_delay=timedelta(seconds=delay)
            ) from error
        return _without(case, value, _grounds(error), spent)

    def _value(self, case: ChunkRequest) -> ChunkValue:
        piece = case.piece
        return ChunkValue(
            seconds=piece.seconds,
            watch_seconds=piece.watched_seconds,
            rank=piece.rank,
            has_moment=bool(piece.candidates),
            promising=any(
                each.score.calculate_combined_score(case.profile.weights)
                >= case.profile.thresholds.standard
                for each in piece.candidates
            ),
            dollars=self._watcher.expected_dollars(piece, case.profile),
            chance=piece.chance(case.stream_id),
        )


def _without(
    case: ChunkRequest, value: ChunkValue, grounds: GateReason, spent: GeminiReport | None = None
) -> ChunkResult:
    """Return the local analyzer's word alone, and what was spent in vain."""
    report = (spent or GeminiReport()).plus(GeminiReport(pieces={grounds: 1}))
    gate = case.state.gate.after(value, spent=report.dollars)
    return ChunkResult(publish_local_only(case.piece, grounds), report, gate)


def _grounds(error: GeminiError) -> GateReason:
    if isinstance(error, GeminiBusyError):
        return GateReason.BUSY
    if isinstance(error, GeminiModelError):
        return GateReason.NO_MODEL
    if isinstance(error, GeminiAccessError):
        return GateReason.NO_ACCESS
    return GateReason.DOWN if error.retryable else GateReason.FAILED


def _now() -> float:
    return asyncio.get_running_loop().time()
