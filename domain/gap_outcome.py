"""What came of a gap: filled from a recording, or lost for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt

from domain.media import Gap, GapStatus
from domain.model import Model

NEARLY: Final = 0.9
"""Share of a gap that must have been analysed before it counts as filled."""


class GapOutcome(Model):
    """What came of a gap (named by its start and first sequence), and why, in a sentence."""

    start: NonNegativeFloat
    first_sequence: NonNegativeInt
    status: GapStatus
    resolution: str

    @classmethod
    def lost(cls, gap: Gap, why: str) -> GapOutcome:
        """Return that a gap stays."""
        return cls(
            start=gap.start,
            first_sequence=gap.first_sequence,
            status=GapStatus.LOST,
            resolution=why,
        )


def gap_outcome(gap: Gap, analyzed: Sequence[tuple[float, float]], found_by: str) -> GapOutcome:
    """Say what came of a gap, given the stretches (s of media time) that have been analysed."""
    held = sum(max(0.0, min(end, gap.end) - max(start, gap.start)) for start, end in analyzed)
    if held < NEARLY * gap.duration:
        return GapOutcome.lost(
            gap,
            f"Of its {gap.duration:.1f} s the recording gave {held:.1f} s, which were analysed.",
        )
    return GapOutcome(
        start=gap.start,
        first_sequence=gap.first_sequence,
        status=GapStatus.FILLED,
        resolution=f"Analysed from the recording, found there by {found_by}.",
    )
