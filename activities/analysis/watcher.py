"""One piece of a stream, shown to Gemini in three looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from activities.analysis.answers import GeminiDoors, PieceAnswers
from domain.fusion import Sighting
from domain.gemini.models import serving_model
from domain.gemini.pieces import Piece
from domain.gemini.questions import AROUND_MOMENT, AROUND_PEAK, Questions
from domain.gemini.reading import (
    Detection,
    FileSpan,
    Refinement,
    UnusableAnswerError,
    read_assessment,
    read_detections,
    read_refinement,
)
from domain.gemini.report import GeminiReport
from domain.gemini.verdicts import Look
from domain.profile import GameProfile
from infra.gemini import GeminiError

_MOST_CLOSE_LOOKS: Final = 3


class Watched(NamedTuple):
    """What a look brought, and what it cost."""

    look: Look
    report: GeminiReport


class InVain(NamedTuple):
    """Why a look brought nothing, and what it cost all the same."""

    error: GeminiError | UnusableAnswerError
    report: GeminiReport


class Watcher:
    """Detects, looks closely and scores.

    Args:
        doors: how to ask.
        questions: what to ask, of whom.
        by_profile: the same for single profiles, by their ids.
    """

    def __init__(
        self,
        doors: GeminiDoors,
        questions: Questions,
        by_profile: Mapping[str, Questions] | None = None,
    ) -> None:
        self._doors = doors
        self._questions = questions
        self._by_profile = by_profile or {}
        self._serving: dict[str, str] = {}

    def questions(self, profile: GameProfile) -> Questions:
        """Return what is asked about a game, and of whom."""
        return self._by_profile.get(profile.id, self._questions)

    def expected_dollars(self, piece: Piece, profile: GameProfile) -> float:
        """Return what a look is expected to cost now, of the model that answers these days."""
        questions, now = self.questions(profile), datetime.now(UTC)
        serving = self._serving.get(questions.model) or serving_model(questions.model, now)
        price = self._doors.prices.price(serving, now)
        return questions.expected_dollars(piece, profile, price, serving=serving)

    async def watch(
        self,
        piece: Piece,
        profile: GameProfile,
        *,
        tenant_id: UUID,
        stream_id: UUID,
        has_time: Callable[[], bool],
        may_buy: bool = True,
    ) -> Watched | InVain:
        """Look at a piece; where `has_time` says no, what is left is unclear."""
        questions = self.questions(profile)
        async with AsyncExitStack() as stack:
            answers = PieceAnswers(
                self._doors,
                piece,
                stack,
                tenant_id=tenant_id,
                stream_id=stream_id,
                may_buy=may_buy,
            )
            try:
                look = await _Viewing(answers, questions, profile).look(piece, has_time)
            except (GeminiError, UnusableAnswerError) as error:
                return InVain(error, answers.report)
            finally:
                self._note_serving(questions.model, answers.report)
            return Watched(look, answers.report)

    def _note_serving(self, asked: str, report: GeminiReport) -> None:
        """Remember which model answers for the one asked, for what a look is expected to cost."""
        if report.models and not report.rerouted:
            self._serving.pop(asked, None)
        self._serving |= report.rerouted


class _Viewing:
    """The looks at one piece, and what has been counted on the way."""

    def __init__(self, answers: PieceAnswers, questions: Questions, profile: GameProfile) -> None:
        self._answers = answers
        self._questions = questions
        self._profile = profile
        self._counted: Counter[str] = Counter()

    async def look(self, piece: Piece, has_time: Callable[[], bool]) -> Look:
        kept = await self._answers.to(self._questions.detect(piece, self._profile))
        detected = read_detections(kept.answer, kept.file, self._profile)
        self._counted.update(detected.counted)
        sightings: list[Sighting] = []
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
        return Look(
            sightings=tuple(sightings), unclear=tuple(unclear), counted=dict(+self._counted)
        )

    async def _closely(self, detection: Detection, file: FileSpan) -> Sighting | None:
        """Return the moment with exact times and its worth; None when it is not there."""
        refined = await self._exactly(detection, file)
        if refined is None:
            self._counted["not_there"] += 1
            return None
        start, end = _within(file, refined.start - AROUND_MOMENT, refined.end + AROUND_MOMENT)
        kept = await self._answers.to(self._questions.score(self._profile, start=start, end=end))
        worth = read_assessment(kept.answer, self._profile)
        self._counted.update(worth.counted)
        return Sighting(
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

    async def _exactly(self, detection: Detection, file: FileSpan) -> Refinement | None:
        """Return exact times: those of the first look, where the second gives none of use."""
        start, end = _within(file, detection.peak - AROUND_PEAK, detection.peak + AROUND_PEAK)
        ask = self._questions.refine(self._profile, start=start, end=end, kind=detection.kind)
        kept = await self._answers.to(ask)
        try:
            return read_refinement(kept.answer, file, excerpt_start=start, detected=detection)
        except UnusableAnswerError as error:
            self._counted[error.reason] += 1
            return Refinement(start=detection.start, peak=detection.peak, end=detection.end)


def _within(file: FileSpan, start: float, end: float) -> tuple[float, float]:
    """Return two points of media time (s) as points of the file, at least a second apart."""
    first = min(max(0.0, start - file.start), max(0.0, file.end - file.start - 1.0))
    last = max(first + 1.0, min(end, file.end) - file.start)
    return round(first, 3), round(last, 3)
