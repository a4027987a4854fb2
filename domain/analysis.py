"""What analysis is asked for and what it answers."""

from __future__ import annotations

from uuid import UUID

from pydantic import NonNegativeInt

from domain.candidate import HighlightCandidate
from domain.gemini.report import GeminiReport
from domain.media import Window
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
        analyzer: who looked.
        gemini: what Gemini was asked; None where it takes no part.
    """

    candidates: tuple[HighlightCandidate, ...] = ()
    watermark: float
    undecodable_segments: int = 0
    analyzer: str = ""
    gemini: GeminiReport | None = None
