"""What kind of moment a candidate is known to be, and whether its stream asked for such moments."""

from __future__ import annotations

from typing import Final, NamedTuple

from domain.analysis.scoring import SIGNAL_TAGS
from domain.analysis.screen import MatchState
from domain.highlights.candidate import HighlightCandidate
from domain.profiles.criteria import tags_of
from domain.profiles.model import GameProfile

_GOAL: Final = "goal"


def known_kinds(candidate: HighlightCandidate, profile: GameProfile) -> tuple[str, ...]:
    """Return the tags that say what happened, the most telling first.

    Tags of signals say only that something did. Where each score counts one, as in soccer, a score
    that rises on the screen is a goal, whatever else is known.
    """
    tags = [tag for tag in candidate.tags if tag not in SIGNAL_TAGS]
    scored = candidate.state is not None and _rose_by_one(candidate.state)
    counts_goals = profile.hud.score_step == 1 and _GOAL in profile.all_tags()
    if scored and counts_goals and not any(tag in tags_of(_GOAL, profile) for tag in tags):
        tags.insert(0, _GOAL)
    return tuple(tags)


def _rose_by_one(state: MatchState) -> bool:
    before, after = state.score_before, state.score_after
    return len(before) == len(after) > 0 and sum(after) - sum(before) == 1


class CriteriaConflict(NamedTuple):
    """Why a candidate does not meet its stream's criteria.

    Attributes:
        kinds: what the candidate is known to be.
        wanted: what the criteria include.
        excluded: the kind that they exclude; None if the candidate is nothing that they include.
    """

    kinds: tuple[str, ...]
    wanted: tuple[str, ...]
    excluded: str | None = None


def criteria_conflict(
    candidate: HighlightCandidate, profile: GameProfile
) -> CriteriaConflict | None:
    """Return how a candidate conflicts with its stream's criteria; None if it meets them.

    What a moment is must be known for it to be included, or excluded.
    """
    if profile.criteria is None:
        return None
    understood, kinds = profile.criteria.understood, known_kinds(candidate, profile)
    excluded = _first_of(understood.exclude, kinds, profile)
    if excluded is not None:
        return CriteriaConflict(kinds, understood.include, excluded)
    if not understood.include or _first_of(understood.include, kinds, profile) is not None:
        return None
    return CriteriaConflict(kinds, understood.include)


def _first_of(slugs: tuple[str, ...], kinds: tuple[str, ...], profile: GameProfile) -> str | None:
    """Return the first kind that is one of these kinds, tags or groups of tags."""
    tags = frozenset[str]().union(*(tags_of(slug, profile) for slug in slugs))
    return next((kind for kind in kinds if kind in tags), None)
