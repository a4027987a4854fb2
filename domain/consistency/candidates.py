"""The candidates of a stream as its workflow saw them, to compare with their rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from domain.analysis.messages import AnalyzeWindowResult
from domain.highlights.selection import (
    DecisionStatus,
    SelectHighlightsInput,
    SelectHighlightsResult,
)


@dataclass
class CandidateTrail:
    """What windows produced, and what selection decided, by the history of a live stream.

    Attributes:
        is_whole: True if the history reaches back to the start of the stream.
        found: candidates that analysis returned.
        selected: candidates that selection was asked to decide on. More than `found` after a
            worker died: what its last heartbeat carried is no result of an activity.
        decisions: the last decision on each candidate.
    """

    is_whole: bool
    found: set[UUID] = field(default_factory=set)
    selected: set[UUID] = field(default_factory=set)
    decisions: dict[UUID, DecisionStatus] = field(default_factory=dict)

    def add_analysis(self, result: AnalyzeWindowResult) -> None:
        """Add the result of an analysis."""
        self.found.update(each.id for each in result.candidates)

    def add_selection(self, request: SelectHighlightsInput, result: SelectHighlightsResult) -> None:
        """Add a completed selection; they come in order."""
        self.selected.update(each.id for each in request.candidates)
        self.decisions.update({each.highlight_id: each.status for each in result.decisions})
