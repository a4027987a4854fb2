"""Preview: what other rules would decide about the recorded candidates of a stream. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection.models import Decision, SelectionState
from domain.highlights.selection.selector import HighlightSelector
from domain.media.segments import Gap
from domain.profiles.model import GameProfile


def preview_selection(
    recorded: Iterable[tuple[HighlightCandidate, Decision]],
    profile: GameProfile,
    *,
    watermark: float,
    ended: bool,
    gaps: Sequence[Gap] = (),
) -> dict[UUID, Decision]:
    """Return the decision that a profile makes about each candidate.

    The stream's own profile makes the decisions that were recorded: they do not depend on how
    candidates were batched.

    Args:
        recorded: the candidates with what was decided about them.
        profile: the rules to try.
        watermark: media time (s) up to which the stream was analyzed.
        ended: True if no candidate will follow.
        gaps: stretches without media.
    """
    candidates = [_with_cuts(candidate, decision) for candidate, decision in recorded]
    result = HighlightSelector(profile).select(
        SelectionState(), candidates, watermark=watermark, ended=ended, gaps=gaps
    )
    return {decision.highlight_id: decision for decision in result.decisions}


def _with_cuts(candidate: HighlightCandidate, decision: Decision) -> HighlightCandidate:
    """Return the candidate with the bounds of its clip as safe cuts; the others are not stored.

    A candidate that never had a clip has the moment's span there.
    """
    if (decision.clip_start, decision.clip_end) == (candidate.start, candidate.end):
        return candidate
    return candidate.replace(safe_starts=(decision.clip_start,), safe_ends=(decision.clip_end,))
