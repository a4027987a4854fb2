"""What Gemini was asked while windows were analysed, and what it cost."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from domain.cost_gate import WORDS, Grounds
from domain.gemini.cost import TokenUsage
from domain.model import Model

_LIMITS: Final = (Grounds.TENANT_BUDGET, Grounds.STREAM_BUDGET, Grounds.DOWN, Grounds.BUSY)
_LOOKED: Final = (Grounds.MOMENT, Grounds.RANKED, Grounds.SAMPLED)


class GeminiReport(Model):
    """Of the windows of one request; asking for them again reports the same calls once.

    Attributes:
        pieces: how many pieces were looked at, or not, by `Grounds`.
        calls: answers that were used; each was paid for once, even if a retry found it kept.
        usage: their tokens.
        dollars: their price by the configured table.
        watched: seconds of media that were shown.
        counted: how often an answer was corrected or left out, by reason.
    """

    pieces: dict[Grounds, int] = Field(default_factory=dict)
    calls: NonNegativeInt = 0
    usage: TokenUsage = TokenUsage()
    dollars: NonNegativeFloat = 0.0
    watched: NonNegativeFloat = 0.0
    counted: dict[str, int] = Field(default_factory=dict)

    @property
    def notice(self) -> str | None:
        """What the stream's owner should know, in a sentence.

        Empty when all is well, None when nothing was learnt of that.
        """
        for grounds in _LIMITS:
            if self.pieces.get(grounds):
                return f"Only the local analyzer is at work: {WORDS[grounds]}."
        return "" if any(self.pieces.get(grounds) for grounds in _LOOKED) else None

    def plus(self, other: GeminiReport) -> GeminiReport:
        """Return the sum."""
        return GeminiReport(
            pieces=dict(Counter(self.pieces) + Counter(other.pieces)),
            calls=self.calls + other.calls,
            usage=self.usage.plus(other.usage),
            dollars=round(self.dollars + other.dollars, 9),
            watched=round(self.watched + other.watched, 3),
            counted=dict(Counter(self.counted) + Counter(other.counted)),
        )
