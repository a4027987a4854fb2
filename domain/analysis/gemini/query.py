"""A query to Gemini and its answer, as values that can be stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from domain.analysis.gemini.pricing import TokenUsage, estimate, thinks
from domain.media.segments import SegmentRef
from domain.model import Model
from domain.profiles.model import MediaResolution

_DIGEST = 32

# Tokens for thoughts besides the answer, at the lowest thinking level. Unused tokens cost nothing:
# the limit only ends runaway answers.
_THOUGHTS: Final = 2048
_EXPECTED_THOUGHTS: Final = 60
_WIDER: Final = 4
# Finish reasons of an answer that a policy withheld; a retry gives the same.
_WITHHELD: Final = frozenset(
    {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"}
)


class QueryStep(StrEnum):
    """The three queries about a chunk."""

    DETECT = "detect"  # the whole chunk: list its moments
    REFINE = "refine"  # around one moment, at a higher frame rate: exact times
    SCORE = "score"  # the moment itself: scores, tags, title


class Excerpt(Model):
    """The part of a video file that a query is about: seconds of the file, rate and resolution."""

    start: NonNegativeFloat
    end: PositiveFloat
    fps: float = Field(gt=0.0, le=24.0)
    resolution: MediaResolution

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.end - self.start


class GeminiQuery(Model):
    """One query.

    Attributes:
        step: kind of query.
        version: name and version of the prompt.
        model: requested model.
        temperature: None for the model's default.
        system: system instruction.
        prompt: the prompt.
        answer_schema: JSON schema of the answer.
        max_output: limit of the answer in tokens, without thoughts.
        expected_output: tokens that a good answer takes.
        excerpt: part of the video.
        widened: True for a second attempt with a higher output limit.
    """

    step: QueryStep
    version: str
    model: str
    temperature: float | None = None
    system: str
    prompt: str
    answer_schema: dict[str, Any]
    max_output: PositiveInt
    expected_output: PositiveInt = 200
    excerpt: Excerpt
    widened: bool = False

    @property
    def output_limit(self) -> int:
        """Limit of thoughts and answer together, in tokens."""
        room = self.max_output + (_THOUGHTS if thinks(self.model) else 0)
        return room * _WIDER if self.widened else room

    def with_more_room(self) -> GeminiQuery:
        """Return the same query with a higher output limit."""
        return GeminiQuery(
            step=self.step,
            version=self.version,
            model=self.model,
            temperature=self.temperature,
            system=self.system,
            prompt=self.prompt,
            answer_schema=self.answer_schema,
            max_output=self.max_output,
            expected_output=self.expected_output,
            excerpt=self.excerpt,
            widened=True,
        )

    def key(self, segments: Sequence[SegmentRef]) -> str:
        """Return a digest of everything that determines the answer.

        Segments are immutable, so that their keys and sizes stand for their content.
        """
        media = [(segment.key, segment.size) for segment in segments]
        # Without fields that older releases did not have, so that their stored answers match.
        asked = self.model_dump(mode="json", exclude=set() if self.widened else {"widened"})
        whole = json.dumps([asked, media], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST]

    def max_usage(self) -> TokenUsage:
        """Return the largest possible usage, for the quota."""
        return self._estimate(self.output_limit)

    def expected_usage(self, model: str | None = None) -> TokenUsage:
        """Return the expected usage, for the budget; `model` is the model that answers."""
        serving = model or self.model
        thoughts = _EXPECTED_THOUGHTS if thinks(serving) else 0
        return self._estimate(self.expected_output + thoughts, serving)

    def _estimate(self, output: int, model: str | None = None) -> TokenUsage:
        return estimate(
            model=model or self.model,
            seconds=self.excerpt.seconds,
            fps=self.excerpt.fps,
            resolution=self.excerpt.resolution,
            prompt=self.system + self.prompt + json.dumps(self.answer_schema),
            output=output,
        )


class GeminiAnswer(Model):
    """An answer as it was received.

    Attributes:
        text: the model's text; empty if the answer was blocked.
        finish: finish reason (`STOP`, `MAX_TOKENS`, `SAFETY`, …).
        blocked: why the prompt was refused; None if it was not.
        model: version of the model that answered.
        usage: billed tokens.
    """

    text: str = ""
    finish: str = ""
    blocked: str | None = None
    model: str = ""
    usage: TokenUsage = TokenUsage()

    @property
    def shortfall(self) -> str | None:
        """Why the answer is incomplete and worth a second attempt; None if it is not.

        `empty`: there is no text, and no policy withheld it. `cut_off`: it hit the output limit.
        """
        if self.blocked is not None or self.finish in _WITHHELD:
            return None
        if not self.text.strip():
            return "empty"
        return "cut_off" if self.finish == "MAX_TOKENS" else None
