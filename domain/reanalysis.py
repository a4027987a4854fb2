"""Which pieces of its recording are fetched when a whole stream is analysed once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain.backfill import BackfillPlan, plan_backfill
from domain.gap_outcome import GapOutcome
from domain.media import Gap, GapReason
from domain.playlist import MediaPlaylist
from domain.wall_clock import ClockAnchor

PIECE: Final = 12.0
"""Seconds fetched and analysed at a time: about what a live window and a moment take together, so
that the cost gate chooses between pieces as small as live ones."""

MOST_PIECES: Final = 1000
"""Of a longer stream the pieces are longer, which bounds its workflow's history."""


def plan_again(
    gaps: Sequence[Gap],
    recording: MediaPlaylist,
    *,
    anchor: ClockAnchor | None,
    stream_end: float,
) -> BackfillPlan:
    """Plan to analyse all of a stream again; gaps that are still open are filled by it.

    Args:
        gaps: those not filled yet.
        recording: its playlist.
        anchor: a point of the stream known on both clocks; without one a gap's is taken.
        stream_end: seconds of media time at which the stream ended.
    """
    known = anchor or next(
        (
            ClockAnchor(at=gap.anchor_at, wall=gap.anchor_wall)
            for gap in gaps
            if gap.anchor_at is not None and gap.anchor_wall is not None
        ),
        None,
    )
    whole = Gap(
        start=0.0,
        duration=stream_end,
        first_sequence=0,
        last_sequence=0,
        reason=GapReason.DECLARED,
        detail="all of it",
        anchor_at=None if known is None else known.at,
        anchor_wall=None if known is None else known.wall,
    )
    plan = plan_backfill(
        (whole,), recording, stream_end=stream_end, piece=max(PIECE, stream_end / MOST_PIECES)
    )
    return BackfillPlan(
        ranges=tuple(
            span.model_copy(update={"gaps": tuple(gaps), "whole": True}) for span in plan.ranges
        ),
        lost=tuple(GapOutcome.lost(gap, why.resolution) for why in plan.lost for gap in gaps),
    )
