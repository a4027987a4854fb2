"""Selection: which candidates become highlights, when, and why."""

from __future__ import annotations

from domain.highlights.selection.models import (
    HIDDEN,
    Decision,
    DecisionStatus,
    Reason,
    SelectHighlightsInput,
    SelectHighlightsResult,
    SelectionState,
    Tier,
    needs_selection,
)
from domain.highlights.selection.selector import HighlightSelector

__all__ = [
    "HIDDEN",
    "Decision",
    "DecisionStatus",
    "HighlightSelector",
    "Reason",
    "SelectHighlightsInput",
    "SelectHighlightsResult",
    "SelectionState",
    "Tier",
    "needs_selection",
]
