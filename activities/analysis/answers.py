"""Gemini's answers about one piece of a stream: kept, so that none is paid for twice."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from pydantic import NonNegativeFloat, ValidationError

from activities.analysis.spending import GeminiSpending
from domain.gemini.ask import Answer, Ask
from domain.gemini.cost import TokenUsage
from domain.gemini.models import PriceTable, bare_name, same_model
from domain.gemini.pieces import Piece
from domain.gemini.reading import FileSpan
from domain.gemini.report import GeminiReport
from domain.model import Model
from infra.gemini import (
    GeminiClient,
    GeminiModelError,
    GeminiQuota,
    GeminiUnavailableError,
    Video,
    VideoUnusableError,
)
from infra.gemini.piece_file import write_piece
from infra.media_pool import MediaError, MediaPool
from infra.segment_store import SegmentStore, UnknownKeyError
from infra.splice import SourceFile, SpliceError

_log = structlog.get_logger(__name__)

ANALYZER: Final = "gemini-1"
"""Name and version of what is remembered and kept; a new one starts afresh."""


@dataclass(frozen=True)
class GeminiDoors:
    """What asking needs of the world."""

    client: GeminiClient
    quota: GeminiQuota
    spending: GeminiSpending
    segments: SegmentStore
    pool: MediaPool
    prices: PriceTable = field(default_factory=PriceTable)


class KeptAnswer(Model):
    """An answer as it lies in the segment store, and where the video lay that was watched.

    Attributes:
        dollars: its price when it was asked for, at the rates of the model that answered; None of
            one that was stored by a release that did not note it.
    """

    answer: Answer
    file: FileSpan
    dollars: NonNegativeFloat | None = None


class PieceAnswers:
    """Answers about one piece; its video is cut, and uploaded, when the first is to be paid for.

    Where nothing may be bought, those that are kept are used all the same: they are paid.

    Attributes:
        report: the calls whose answers were used.
    """

    def __init__(
        self,
        doors: GeminiDoors,
        piece: Piece,
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

    async def to(self, ask: Ask) -> KeptAnswer:
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

    async def _to(self, ask: Ask) -> KeptAnswer:
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

    def _dollars(self, ask: Ask, kept: KeptAnswer) -> float:
        if kept.dollars is not None:
            return kept.dollars
        return self._price(ask, kept.answer)

    def _price(self, ask: Ask, answer: Answer) -> float:
        price = self._doors.prices.price(answer.model or ask.model, datetime.now(UTC))
        return price.dollars(answer.usage)

    def _reported(self, ask: Ask, answer: Answer, dollars: float) -> GeminiReport:
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

    async def _kept(self, key: str) -> KeptAnswer | None:
        try:
            return KeptAnswer.model_validate_json(await self._doors.segments.read(key))
        except UnknownKeyError:
            return None
        except ValidationError:
            _log.warning("gemini_answer_unreadable", key=key)
            return None

    async def _buy(self, ask: Ask) -> KeptAnswer:
        if self._video is None:
            self._video = await self._cut()
        video, file = self._video
        await self._doors.quota.take(self._tenant_id, ask.at_most().total)
        try:
            answer = await self._doors.client.ask(ask, video)
        except GeminiModelError:
            self.report = self.report.plus(GeminiReport(missing=(ask.model,)))
            raise
        return KeptAnswer(answer=answer, file=file, dollars=self._price(ask, answer))

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

    def _tell(self, ask: Ask, kept: KeptAnswer) -> None:
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
            written = await self._doors.pool.run(write_piece, tuple(sources), target)
        except (UnknownKeyError, SpliceError, MediaError, OSError) as error:
            raise VideoUnusableError(f"the piece cannot be shown: {error}") from error
        start = first + written.start
        video = await self._stack.enter_async_context(self._doors.client.video(target))
        return video, FileSpan(start=start, end=start + written.duration)
