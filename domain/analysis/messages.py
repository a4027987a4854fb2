"""Input and result of the analyze_window activity."""

from __future__ import annotations

from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt

from domain.analysis.gemini.report import GeminiReport
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import Gap, Window
from domain.model import Model


class AnalyzeWindowInput(Model):
    """Consecutive windows to analyze, in order; several if analysis is behind.

    Attributes:
        previous_window: index of the window analyzed before these, whose state is continued; None
            at the start of the stream.
        last: True if no window follows: open moments are settled, and `windows` may be empty.
    """

    tenant_id: UUID
    stream_id: UUID
    windows: tuple[Window, ...]
    previous_window: NonNegativeInt | None = None
    profile_id: str
    profile_version: str
    last: bool = False


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
    """

    candidates: tuple[HighlightCandidate, ...] = ()
    watermark: float
    undecodable_segments: int = 0
    analyzer: str = ""
    gemini: GeminiReport | None = None
    analyzed_seconds: tuple[NonNegativeFloat, ...] = ()
    gaps: tuple[Gap, ...] = ()
