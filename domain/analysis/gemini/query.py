"""One question to Gemini and its answer, as values that can be kept."""

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

# Tokens that thoughts may take beside the answer, at the lowest level of thinking. What is not
# used costs nothing: the limit only ends answers that run away.
_THOUGHTS: Final = 2048
_EXPECTED_THOUGHTS: Final = 60
_WIDER: Final = 4
# Finish reasons of an answer that a policy withheld: asking again changes nothing.
_WITHHELD: Final = frozenset(
    {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"}
)


class QueryStep(StrEnum):
    """The three looks at a chunk of a stream."""

    DETECT = "detect"  # the whole chunk: where are its moments
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


class GeminiQuery(Model):
    """One question.

    Attributes:
        step: which of the looks it is.
        version: name and version of the prompt.
        model: which model is asked.
        temperature: None leaves it to the model.
        system: who the model is and what it must keep to.
        prompt: the question.
        answer_schema: JSON schema that binds the answer.
        max_output: tokens after which the answer itself is cut off.
        expected_output: tokens that a good answer takes.
        widened: whether it is asked once more, with more room for thoughts and answer.
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
        """Tokens that thoughts and answer may take together."""
        room = self.max_output + (_THOUGHTS if thinks(self.model) else 0)
        return room * _WIDER if self.widened else room

    def with_more_room(self) -> GeminiQuery:
        """Return the same question with more room for thoughts and answer."""
        return self.model_copy(update={"widened": True})

    def key(self, segments: Sequence[SegmentRef]) -> str:
        """Return a digest of all that determines the answer.

        Segments are written once under their key, so that key and size stand for their content.
        """
        media = [(segment.key, segment.size) for segment in segments]
        # Without the fields that older releases did not have, so that their answers are found.
        asked = self.model_dump(mode="json", exclude=set() if self.widened else {"widened"})
        whole = json.dumps([asked, media], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST]

    def max_usage(self) -> TokenUsage:
        """Return what it may take: what the quota must have room for."""
        return self._estimate(self.output_limit)

    def expected_usage(self, model: str | None = None) -> TokenUsage:
        """Return what it will take of the model that answers: what a budget must have left."""
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

    @property
    def shortfall(self) -> str | None:
        """Why the answer is incomplete and worth asking for once more; None if it is not.

        `empty`: no text came, and no policy withheld it. `cut_off`: the limit ended it.
        """
        if self.blocked is not None or self.finish in _WITHHELD:
            return None
        if not self.text.strip():
            return "empty"
        return "cut_off" if self.finish == "MAX_TOKENS" else None
