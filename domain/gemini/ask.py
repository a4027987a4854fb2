"""One question to Gemini and its answer, as values that can be kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from domain.gemini.cost import TokenUsage, estimate
from domain.media import SegmentRef
from domain.model import Model
from domain.profile_hints import MediaResolution

_DIGEST = 32


class Step(StrEnum):
    """The three looks at a piece of a stream."""

    DETECT = "detect"  # the whole piece: where are its moments
    REFINE = "refine"  # around one moment, at more frames a second: when exactly
    SCORE = "score"  # the moment itself: how good, and what to call it


class Excerpt(Model):
    """What of a video file is watched: seconds from the file's beginning, and how closely."""

    start: NonNegativeFloat
    end: PositiveFloat
    fps: float = Field(gt=0.0, le=24.0)
    resolution: MediaResolution

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


class Ask(Model):
    """One question.

    Attributes:
        step: which of the looks it is.
        version: name and version of the prompt.
        model: which model is asked.
        temperature: None leaves it to the model.
        system: who the model is and what it must keep to.
        prompt: the question.
        answer_schema: JSON schema that binds the answer.
        max_output: tokens after which the answer is cut off.
        expected_output: tokens that a good answer takes.
    """

    step: Step
    version: str
    model: str
    temperature: float | None = None
    system: str
    prompt: str
    answer_schema: dict[str, Any]
    max_output: PositiveInt
    expected_output: PositiveInt = 200
    excerpt: Excerpt

    def key(self, segments: Sequence[SegmentRef]) -> str:
        """Return a digest of all that determines the answer.

        Segments are written once under their key, so that key and size stand for their content.
        """
        media = [(segment.key, segment.size) for segment in segments]
        whole = json.dumps([self.model_dump(mode="json"), media], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST]

    def at_most(self) -> TokenUsage:
        """Return what it may take: what the quota must have room for."""
        return self._estimate(self.max_output)

    def expected(self) -> TokenUsage:
        """Return what it will take: what a budget must have left."""
        return self._estimate(self.expected_output)

    def _estimate(self, output: int) -> TokenUsage:
        return estimate(
            model=self.model,
            seconds=self.excerpt.seconds,
            fps=self.excerpt.fps,
            resolution=self.excerpt.resolution,
            prompt=self.system + self.prompt + json.dumps(self.answer_schema),
            output=output,
        )


class Answer(Model):
    """What came back and was paid for, as it came.

    Attributes:
        text: what the model said; empty when it was blocked.
        finish: the finish reason (`STOP`, `MAX_TOKENS`, `SAFETY`, …).
        blocked: why the prompt itself was refused.
        model: the version that answered.
    """

    text: str = ""
    finish: str = ""
    blocked: str | None = None
    model: str = ""
    usage: TokenUsage = TokenUsage()
