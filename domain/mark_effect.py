"""What a tenant's mark means in a game: which tags it gives, and what it lifts.

The analyzer has weighed the mark as one more witness, knowing nothing of the game. Here the game's
profile has its say: its taxonomy decides which tags there are, its trust in timed metadata how far
a mark is believed, and its weights which dimensions a known kind of moment lifts most.
"""

from __future__ import annotations

import math
from typing import Final

from domain.candidate import HighlightCandidate
from domain.marks import USUAL_IMPORTANCE, Mark
from domain.profile import GameProfile
from domain.score import HighlightScore

TRUST: Final = 2.0
"""Nats that one unit of trust more or less than neutral adds to a mark of usual importance."""

KNOWN: Final = 0.5
"""Nats that a label of the game's own lifts the dimension that weighs most in this game."""

_SURE: Final = 1e-4


def honour_mark(candidate: HighlightCandidate, profile: GameProfile) -> HighlightCandidate:
    """Return the candidate with what its mark means by `profile`; unmarked ones as they are.

    A label that is a kind of moment gives that kind's tags, one of the taxonomy gives itself; any
    other gives no tag, which `corrections` says, and leaves the mark's own weight.
    """
    mark = candidate.mark
    if mark is None:
        return candidate
    tags = tags_of(mark, profile)
    others = tuple(tag for tag in candidate.tags if tag != mark.label and tag not in tags)
    changes: dict[str, object] = {
        "score": _lifted(candidate.score, mark, profile, known=bool(tags)),
        "tags": (*others, *tags),
    }
    if not tags:
        changes["corrections"] = (
            *candidate.corrections,
            f"the tenant's label `{mark.label}` is no tag: {profile.name} does not know it",
        )
    return candidate.model_copy(update=changes)


def tags_of(mark: Mark, profile: GameProfile) -> tuple[str, ...]:
    """Return the tags that a mark gives in a game; empty when the game does not know its label.

    Of a kind of moment with several tags only the one of its own name is certain; without such a
    one, the kind's first.
    """
    if mark.label in profile.all_tags():
        return (mark.label,)
    kind = profile.moments.get(mark.label)
    return kind.tags[:1] if kind is not None else ()


def _lifted(
    score: HighlightScore, mark: Mark, profile: GameProfile, *, known: bool
) -> HighlightScore:
    trust = profile.analyzer.signals.timed_metadata
    heaviest = max(profile.weights.values())
    believed = TRUST * (trust - 1.0) * mark.importance / USUAL_IMPORTANCE
    lift = KNOWN * mark.importance * min(trust, 1.0) if known else 0.0
    values = {
        name: round(_shifted(value, believed + lift * profile.weights[name] / heaviest), 4)
        for name, value in score.dimensions().items()
    }
    return HighlightScore(**values, confidence=score.confidence)


def _shifted(value: float, nats: float) -> float:
    """Return a probability moved by so many nats; 0 and 1 are not beyond reach."""
    if nats == 0.0:
        return value
    within = min(1.0 - _SURE, max(_SURE, value))
    return 1.0 / (1.0 + math.exp(-(math.log(within / (1.0 - within)) + nats)))
