"""What Gemini has said of the latest moments, kept so that a moment told again is not asked about.

The local analyzer tells a moment again when its tenant marks it late, and one that only Gemini had
told when a mark, or what is heard next, speaks for it too. What was paid for then still holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from domain.candidate import HighlightCandidate
from domain.cost_gate import Grounds
from domain.fusion import Sighting, agreeing, alone, fused, unseen
from domain.model import Model


class Opinion(Model):
    """What came of looking at one moment.

    Attributes:
        id: the moment's, under which it was told.
        analyzer: who looked.
        sighting: what was seen; None where nothing was, or nothing clear.
        unclear: whether the answers were of no use.
        heard: whether the local analyzer had told it too.
        earliest: before this (s of media time) the moment's peak stayed the local one.
    """

    id: UUID
    analyzer: str
    sighting: Sighting | None = None
    unclear: bool = False
    heard: bool = True
    earliest: float = 0.0

    def of(self, candidate: HighlightCandidate) -> HighlightCandidate:
        """Return the moment as the local analyzer tells it now and Gemini has told it before."""
        if self.sighting is not None:
            told = candidate.model_copy(update={"id": self.id})
            return fused(told, self.sighting, analyzer=self.analyzer, earliest=self.earliest)
        if self.unclear:
            return alone(candidate, Grounds.FAILED)
        return unseen(candidate, analyzer=self.analyzer)


def opinion_on(candidate: HighlightCandidate, opinions: Sequence[Opinion]) -> Opinion | None:
    """Return what was said of this very moment, else of one that only Gemini had told there."""
    for opinion in opinions:
        if opinion.id == candidate.id:
            return opinion
    return next(
        (
            opinion
            for opinion in opinions
            if not opinion.heard and opinion.sighting and agreeing(candidate, opinion.sighting)
        ),
        None,
    )
