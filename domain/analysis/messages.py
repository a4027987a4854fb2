"""What analysis is asked for and what it answers."""

from __future__ import annotations

from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt

from domain.analysis.gemini.report import GeminiReport
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import Gap, Window
from domain.model import Model


class AnalyzeWindowInput(Model):
    """Analyse consecutive windows (several when analysis has fallen behind), in order.

    `previous_window` numbers the last window analysed before these, None at the stream's start:
    with it the analyzer finds what it remembered. `last` says that no window follows: moments
    still open are settled with what is known; `windows` may then be empty.
    """

    tenant_id: UUID
    stream_id: UUID
    windows: tuple[Window, ...]
    previous_window: NonNegativeInt | None = None
    profile_id: str
    profile_version: str
    last: bool = False


class AnalyzeWindowResult(Model):
    """The moments settled by these windows, and what could not be analysed.

    Attributes:
        watermark: the media time (s) before which no further candidate's peak can appear.
        analyzer: who looked; names Gemini's model and prompts where it saw a piece that ended in
            these windows.
        gemini: what Gemini was asked; None where it takes no part.
        analyzed_seconds: seconds of media that could be analysed, for each window; empty in answers
            of before they were counted.
        gaps: stretches whose media is stored but could not be decoded, or is no longer stored.
    """

    candidates: tuple[HighlightCandidate, ...] = ()
    watermark: float
    undecodable_segments: int = 0
    analyzer: str = ""
    gemini: GeminiReport | None = None
    analyzed_seconds: tuple[NonNegativeFloat, ...] = ()
    gaps: tuple[Gap, ...] = ()
