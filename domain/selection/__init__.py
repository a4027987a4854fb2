"""Selection: which candidates become highlights, when that is certain, and why."""

from __future__ import annotations

from domain.selection.decision import HIDDEN, Decision, DecisionStatus, Reason, Tier
from domain.selection.selector import HighlightSelector
from domain.selection.state import (
    SelectHighlightsInput,
    SelectHighlightsResult,
    SelectionState,
    needs_selection,
)

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
