"""Gemini's answers about a chunk: stored and metered, so that none is paid for twice."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog
from pydantic import NonNegativeFloat, ValidationError

from domain.analysis.gemini.budget import TenantBudget, TenantSpending
from domain.analysis.gemini.chunks import Chunk
from domain.analysis.gemini.parsing import FileSpan
from domain.analysis.gemini.pricing import PriceTable, TokenUsage, bare_name, same_model
from domain.analysis.gemini.query import GeminiAnswer, GeminiQuery
from domain.analysis.messages import GeminiReport
from domain.model import Model
from domain.tenants.usage import UsageEvent, UsageKind, month_of, usage_event
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.repositories import usage
from infra.gemini import (
    GeminiClient,
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
from infra.telemetry.metrics import GEMINI_DOLLARS, GEMINI_TOKENS

_log = structlog.get_logger(__name__)

ANALYZER: Final = "gemini-1"
"""Name and version of the stored states and answers; a new version starts empty."""

# The smallest quantity that usage is counted in (domain/tenants/usage.py).
_SMALLEST_QUANTITY: Final = 0.000_001
_HOUR: Final = timedelta(hours=1)


class GeminiSpending:
    """Meters answers into the tenant's usage, and returns what is left of its budget.

    The metered dollars are the only record of the budget: every worker reads the same figures, and
    a restart resets nothing. While the database is unavailable no tenant is limited, since each
    stream's own budget, stored with its state, still holds; an answer that could not be metered is
    metered when it is next used.
    """

    def __init__(self, database: Database, budget: TenantBudget) -> None:
        self._database = database
        self._budget = budget

    async def record(
        self, tenant_id: UUID, stream_id: UUID, *, key: str, tokens: TokenUsage, dollars: float
    ) -> None:
        """Meter an answer once; `key` identifies it within its tenant. Idempotent."""
        used = {UsageKind.GEMINI_TOKENS: tokens.total, UsageKind.GEMINI_COST_USD: dollars}
        events: list[UsageEvent] = [
            usage_event(kind, quantity, subject=key, stream_id=stream_id)
            for kind, quantity in used.items()
            if quantity >= _SMALLEST_QUANTITY
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

    async def remaining_dollars(self, tenant_id: UUID) -> float:
        """Return the dollars that the tenant may still spend now.

        Streams that ask concurrently read the same figure, so together they may exceed it by the
        price of one chunk each.
        """
        now = datetime.now(UTC)
        hour = now.replace(minute=0, second=0, microsecond=0)
        kind = UsageKind.GEMINI_COST_USD
        try:
            async with self._database.session(tenant_id) as session:
                this_hour = await usage.stats(
                    session, tenant_id=tenant_id, since=hour, until=hour + _HOUR, kinds=(kind,)
                )
                month = await usage.used(
                    session, tenant_id=tenant_id, kind=kind, month=month_of(now)
                )
        except DatabaseUnavailableError as error:
            _log.warning("gemini_budget_unknown", tenant_id=str(tenant_id), error=str(error))
            return float("inf")
        spent = sum((each.quantity for each in this_hour), Decimal(0))
        return self._budget.remaining_dollars(TenantSpending(hour=float(spent), month=float(month)))


def _count(bought: StoredAnswer) -> None:
    usage = bought.answer.usage
    for kind, tokens in (("text", usage.text), ("audio", usage.audio), ("output", usage.output)):
        GEMINI_TOKENS.labels(kind).inc(tokens)
    GEMINI_DOLLARS.inc(bought.dollars or 0.0)


@dataclass(frozen=True)
class GeminiResources:
    """Clients and adapters that Gemini queries need."""

    client: GeminiClient
    quota: GeminiQuota
    spending: GeminiSpending
    segments: SegmentStore
    pool: MediaPool
    prices: PriceTable = field(default_factory=PriceTable)


class StoredAnswer(Model):
    """An answer in the segment store, and the span of the stream that its video covered.

    Attributes:
        dollars: price at the rates of the model that answered, at the time; None for answers stored
            by releases that did not record it.
    """

    answer: GeminiAnswer
    file: FileSpan
    dollars: NonNegativeFloat | None = None


class ChunkAnswers:
    """Gemini's answers about one chunk.

    The chunk's video is written, and uploaded, when the first new answer is bought. If nothing may
    be bought, stored answers are still used: they are paid for.

    Args:
        resources: clients and adapters.
        chunk: the chunk.
        stack: closes the video when the chunk is done.
        tenant_id: owner of the stream.
        stream_id: the stream.
        may_buy: False if only stored answers may be used.

    Attributes:
        report: the calls whose answers were used.
    """

    def __init__(
        self,
        resources: GeminiResources,
        chunk: Chunk,
        stack: AsyncExitStack,
        *,
        tenant_id: UUID,
        stream_id: UUID,
        may_buy: bool,
    ) -> None:
        self._resources = resources
        self._chunk = chunk
        self._stack = stack
        self._tenant_id = tenant_id
        self._stream_id = stream_id
        self._prefix = f"{tenant_id}/{stream_id}/analysis/{ANALYZER}/answers"
        self._may_buy = may_buy
        self._video: tuple[Video, FileSpan] | None = None
        self.report = GeminiReport()

    async def get(self, query: GeminiQuery) -> StoredAnswer:
        """Return the stored answer to a query, or else buy and store one.

        An answer that is empty or was cut off is paid for too, and asked for once more with a
        higher output limit.

        Raises:
            GeminiError: there is no answer, for now or permanently.
        """
        stored = await self._get(query)
        shortfall = stored.answer.shortfall
        if shortfall is None:
            return stored
        self.report = self.report.plus(GeminiReport(counted={f"{shortfall}_once": 1}))
        return await self._get(query.with_more_room())

    async def _get(self, query: GeminiQuery) -> StoredAnswer:
        key = f"{self._prefix}/{query.key(self._chunk.segments)}.json"
        stored = await self._load(key)
        if stored is None and not self._may_buy:
            raise GeminiUnavailableError("nothing is bought in this attempt")
        if stored is None:
            stored = await self._buy(query)
            data = stored.model_dump_json().encode()
            # It is paid for: store it first, even if the activity is being cancelled.
            await asyncio.shield(self._resources.segments.put(key, data))
            _count(stored)
            self._log_answer(query, stored)
        dollars = self._price(query, stored.answer) if stored.dollars is None else stored.dollars
        await self._meter(key, stored.answer.usage, dollars)
        self.report = self.report.plus(self._call_report(query, stored.answer, dollars))
        return stored

    def _price(self, query: GeminiQuery, answer: GeminiAnswer) -> float:
        price = self._resources.prices.price(answer.model or query.model, datetime.now(UTC))
        return price.dollars(answer.usage)

    def _call_report(
        self, query: GeminiQuery, answer: GeminiAnswer, dollars: float
    ) -> GeminiReport:
        model = bare_name(answer.model or query.model)
        return GeminiReport(
            calls=1,
            usage=answer.usage,
            dollars=dollars,
            watched=query.excerpt.seconds,
            models={model: 1},
            rerouted={} if same_model(query.model, model) else {query.model: model},
            unpriced=() if self._resources.prices.knows(model) else (model,),
        )

    async def _load(self, key: str) -> StoredAnswer | None:
        try:
            return StoredAnswer.model_validate_json(await self._resources.segments.read(key))
        except UnknownKeyError:
            return None
        except ValidationError:
            _log.warning("gemini_answer_unreadable", key=key)
            return None

    async def _buy(self, query: GeminiQuery) -> StoredAnswer:
        if self._video is None:
            self._video = await self._write_video()
        video, file = self._video
        await self._resources.quota.take(self._tenant_id, query.max_usage().total)
        try:
            answer = await self._resources.client.ask(query, video)
        except GeminiModelError:
            self.report = self.report.plus(GeminiReport(missing=(query.model,)))
            raise
        return StoredAnswer(answer=answer, file=file, dollars=self._price(query, answer))

    async def _meter(self, key: str, tokens: TokenUsage, dollars: float) -> None:
        """Meter an answer at every use, since metering may have failed at an earlier one."""
        await asyncio.shield(
            self._resources.spending.record(
                self._tenant_id, self._stream_id, key=key, tokens=tokens, dollars=dollars
            )
        )

    def _log_answer(self, query: GeminiQuery, stored: StoredAnswer) -> None:
        answer = stored.answer
        if not same_model(query.model, answer.model):
            _log.warning("gemini_model_replaced", asked=query.model, answered=answer.model)
        _log.info(
            "gemini_answered",
            tenant_id=str(self._tenant_id),
            step=query.step.value,
            prompt=query.version,
            model=answer.model,
            finish=answer.finish or answer.blocked,
            tokens=answer.usage.total,
            dollars=stored.dollars,
            widened=query.widened,
        )

    async def _write_video(self) -> tuple[Video, FileSpan]:
        """Write the chunk's segments to a file that is deleted when the chunk is done."""
        segments = self._chunk.segments
        first = segments[0].start
        target = (await self._resources.segments.scratch()).with_suffix(".mp4")
        self._stack.callback(target.unlink, missing_ok=True)
        try:
            sources = [
                SourceFile(
                    path=await self._resources.segments.path(segment.key),
                    first_timestamp=segment.first_timestamp,
                    start=segment.start - first,
                    duration=segment.duration,
                    audio_track=segment.audio_track,
                )
                for segment in segments
            ]
            written = await self._resources.pool.run(write_chunk, tuple(sources), target)
        except (UnknownKeyError, SpliceError, MediaError, OSError) as error:
            raise VideoUnusableError(f"the piece cannot be shown: {error}") from error
        start = first + written.start
        video = await self._stack.enter_async_context(self._resources.client.video(target))
        return video, FileSpan(start=start, end=start + written.duration)
