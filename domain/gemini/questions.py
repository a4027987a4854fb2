"""The questions about a piece: prompt, schema, frame rate and resolution of each look."""

from __future__ import annotations

from typing import Any, Final

from pydantic import NonNegativeFloat

from domain.gemini.answer_schemas import detect_schema, refine_schema, score_schema
from domain.gemini.ask import Ask, Excerpt, Step
from domain.gemini.cost import ModelPrice
from domain.gemini.pieces import Piece
from domain.gemini.prompts import (
    PROMPTS,
    SYSTEM,
    VERSIONS,
    detect_prompt,
    refine_prompt,
    score_prompt,
)
from domain.model import Model
from domain.profile import GameProfile
from domain.profile_hints import MediaResolution

AROUND_PEAK: Final = 4.0
"""Seconds on each side of a peak that are looked at closely."""

AROUND_MOMENT: Final = 1.0
"""Seconds on each side of a moment that are shown when it is scored."""

_CLOSER: Final = 4.0
"""Frames a second of the second look: a quarter of a second is as exact as a cut needs to be."""

_ENOUGH: Final = 1.0
"""Frames a second of the last look, at a resolution that makes each of them dear."""

# Of the answer itself, which takes about as much as is expected; thoughts have room beside it.
_MOST_OUTPUT: Final = {Step.DETECT: 1024, Step.REFINE: 512, Step.SCORE: 1024}
_EXPECTED_OUTPUT: Final = {Step.DETECT: 150, Step.REFINE: 80, Step.SCORE: 220}


class Questions(Model):
    """Which model is asked, how and in what language."""

    model: str
    temperature: NonNegativeFloat | None = None
    language: str = "English"

    def analyzer(self, answered: str | None = None) -> str:
        """Return what a highlight carries: the model that answered, and the prompts' versions."""
        return f"{answered or self.model}/{PROMPTS}"

    def detect(self, piece: Piece, profile: GameProfile) -> Ask:
        """Return the question for all moments of a piece: all of it, at a low resolution."""
        seconds = piece.watched_seconds
        return self._ask(
            Step.DETECT,
            detect_prompt(profile, seconds=seconds, marks=piece.marks),
            detect_schema(profile),
            Excerpt(
                start=0.0,
                end=round(seconds, 3),
                fps=profile.analyzer.frames_per_second,
                resolution=MediaResolution.LOW,
            ),
        )

    def refine(self, profile: GameProfile, *, start: float, end: float, kind: str) -> Ask:
        """Return the question for exact times between two points of the file (s): more frames."""
        fps = max(_CLOSER, profile.analyzer.frames_per_second)
        return self._ask(
            Step.REFINE,
            refine_prompt(start=start, end=end, kind=kind),
            refine_schema(),
            Excerpt(start=start, end=end, fps=fps, resolution=MediaResolution.LOW),
        )

    def score(self, profile: GameProfile, *, start: float, end: float) -> Ask:
        """Return the question for a moment's worth: at the resolution that the game needs."""
        return self._ask(
            Step.SCORE,
            score_prompt(profile, start=start, end=end, language=self.language),
            score_schema(profile),
            Excerpt(
                start=start,
                end=end,
                fps=min(_ENOUGH, profile.analyzer.frames_per_second),
                resolution=profile.analyzer.media_resolution,
            ),
        )

    def expected_dollars(
        self, piece: Piece, profile: GameProfile, price: ModelPrice, *, serving: str | None = None
    ) -> float:
        """Return what a look is expected to cost: the whole piece, and one moment closely.

        Args:
            piece: what is looked at.
            profile: of its game.
            price: of the model that answers.
            serving: its name, where it is another than the one asked.
        """
        if piece.watched_seconds <= 0:
            return 0.0
        moment = 2 * AROUND_PEAK
        asks = (
            self.detect(piece, profile),
            self.refine(profile, start=0.0, end=moment, kind="moment"),
            self.score(profile, start=0.0, end=moment),
        )
        return sum(price.dollars(ask.expected(serving)) for ask in asks)

    def _ask(self, step: Step, prompt: str, schema: dict[str, Any], excerpt: Excerpt) -> Ask:
        return Ask(
            step=step,
            version=VERSIONS[step],
            model=self.model,
            temperature=self.temperature,
            system=SYSTEM,
            prompt=prompt,
            answer_schema=schema,
            max_output=_MOST_OUTPUT[step],
            expected_output=_EXPECTED_OUTPUT[step],
            excerpt=excerpt,
        )
