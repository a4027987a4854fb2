"""Input and result of an analysis, with the report of what Gemini did."""

from __future__ import annotations

from collections import Counter
from typing import Final
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from domain.analysis.gemini.budget import REASON_TEXTS, GateReason
from domain.analysis.gemini.pricing import TokenUsage
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import Gap, Window
from domain.model import Model

_LIMITS: Final = (
    GateReason.NO_ACCESS,
    GateReason.NO_MODEL,
    GateReason.TENANT_BUDGET,
    GateReason.STREAM_BUDGET,
    GateReason.DOWN,
    GateReason.BUSY,
)


_ANALYZED: Final = (GateReason.MOMENT, GateReason.RANKED, GateReason.SAMPLED)


class GeminiReport(Model):
    """Gemini calls for the windows of one request; a retry reports the same calls.

    Attributes:
        pieces: number of chunks, analyzed or not, by `GateReason`.
        calls: answers that were used; each was paid for once, even if a retry found it stored.
        usage: their tokens.
        dollars: their price by the configured table.
        watched: seconds of media that Gemini saw.
        counted: corrections and omissions, by reason.
        models: number of calls by the model that answered.
        rerouted: requested models and the models that answered instead.
        unpriced: models that answered and whose price is assumed.
        missing: models that the service does not offer.
    """

    pieces: dict[GateReason, int] = Field(default_factory=dict)
    calls: NonNegativeInt = 0
    usage: TokenUsage = TokenUsage()
    dollars: NonNegativeFloat = 0.0
    watched: NonNegativeFloat = 0.0
    counted: dict[str, int] = Field(default_factory=dict)
    models: dict[str, int] = Field(default_factory=dict)
    rerouted: dict[str, str] = Field(default_factory=dict)
    unpriced: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def status_message(self) -> str | None:
        """Message for the stream's owner; empty if Gemini works normally, None if unknown."""
        for reason in _LIMITS:
            if self.pieces.get(reason):
                named = f" ({', '.join(self.missing)})" if reason is GateReason.NO_MODEL else ""
                return f"Only the local analyzer is at work: {REASON_TEXTS[reason]}{named}."
        replaced = [
            f"The Gemini model {asked} is no longer served: {answered} answers in its place, "
            "at its own price."
            for asked, answered in self.rerouted.items()
        ]
        guessed = [
            f"The price of the Gemini model {model} is not known; a high one is assumed."
            for model in self.unpriced
        ]
        if replaced or guessed:
            return " ".join((*replaced, *guessed))
        return "" if self.has_analysis else None

    @property
    def main_model(self) -> str | None:
        """The model that answered most calls; None without a call."""
        return max(self.models, key=lambda model: self.models[model], default=None)

    @property
    def has_analysis(self) -> bool:
        """True if Gemini analyzed any chunk."""
        return any(self.pieces.get(reason) for reason in _ANALYZED)

    def plus(self, other: GeminiReport) -> GeminiReport:
        """Return the sum."""
        return GeminiReport(
            pieces=dict(Counter(self.pieces) + Counter(other.pieces)),
            calls=self.calls + other.calls,
            usage=self.usage.plus(other.usage),
            dollars=round(self.dollars + other.dollars, 9),
            watched=round(self.watched + other.watched, 3),
            counted=dict(Counter(self.counted) + Counter(other.counted)),
            models=dict(Counter(self.models) + Counter(other.models)),
            rerouted={**self.rerouted, **other.rerouted},
            unpriced=tuple(dict.fromkeys((*self.unpriced, *other.unpriced))),
            missing=tuple(dict.fromkeys((*self.missing, *other.missing))),
        )


class AnalyzeWindowInput(Model):
    """Consecutive windows to analyze, in order; several if analysis is behind.

    Attributes:
        previous_window: index of the window analyzed before these, whose state is continued; None
            at the start of the stream.
        last: True if no window follows: open moments are settled, and `windows` may be empty.
        fed: False if the stream's feed has sent no event, so that none is looked for.
    """

    tenant_id: UUID
    stream_id: UUID
    windows: tuple[Window, ...]
    previous_window: NonNegativeInt | None = None
    profile_id: str
    profile_version: str
    last: bool = False
    fed: bool = True


class AnalyzeWindowResult(Model):
    """The candidates settled by these windows, and what could not be analyzed.

    Attributes:
        watermark: media time (s) before which no further candidate can peak.
        analyzer: who looked; names Gemini's model and prompts where it saw a piece that ended in
            these windows.
        gemini: report of Gemini calls; None if Gemini is not configured.
        analyzed_seconds: seconds of media that could be analysed, for each window; empty in answers
            of before they were counted.
        gaps: media that could not be decoded or is no longer stored.
        screen_off: why text on the screen is not read; empty if it is, None if it was not tried.
    """

    candidates: tuple[HighlightCandidate, ...] = ()
    watermark: float
    undecodable_segments: int = 0
    analyzer: str = ""
    gemini: GeminiReport | None = None
    analyzed_seconds: tuple[NonNegativeFloat, ...] = ()
    gaps: tuple[Gap, ...] = ()
    screen_off: str | None = None

    @property
    def status_message(self) -> str | None:
        """Message for the stream's owner; empty if all works normally, None if nothing is known."""
        gemini = None if self.gemini is None else self.gemini.status_message
        if not self.screen_off:
            return self.screen_off if self.gemini is None else gemini
        off = f"Text on the screen is not read: {self.screen_off}."
        return f"{gemini} {off}" if gemini else off
