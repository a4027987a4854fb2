"""What a tenant's mark means in a game: which tags it gives, and what it lifts.

The analyzer has weighed the mark as one more witness, knowing nothing of the game. Here the game's
profile has its say: its taxonomy decides which tags there are, its trust in timed metadata how far
a mark is believed, and its weights which dimensions a known kind of moment lifts most.
"""

from __future__ import annotations

import math
from typing import Final

from domain.highlights.candidate import USUAL_IMPORTANCE, HighlightCandidate, Mark
from domain.profiles.model import GameProfile
from domain.score import HighlightScore

TRUST: Final = 1.0
"""Nats that one unit of trust beyond neutral adds to a mark of usual importance. Below neutral, the
score lies between those with and without the mark: at 0 the mark is ignored."""

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
    known = bool(tags) or mark.label in profile.moments
    others = tuple(tag for tag in candidate.tags if tag != mark.label and tag not in tags)
    changes: dict[str, object] = {
        "score": _lifted(candidate, mark, profile, known=known),
        "tags": (*others, *tags),
    }
    if not known:
        changes["corrections"] = (
            *candidate.corrections,
            f"the tenant's label `{mark.label}` is no tag: {profile.name} does not know it",
        )
    return candidate.model_copy(update=changes)


def tags_of(mark: Mark, profile: GameProfile) -> tuple[str, ...]:
    """Return the tags that a mark gives in a game.

    Of a kind of moment with several tags only the one of its own name is certain; without such a
    one, the kind's first, by which its author files it.
    """
    if mark.label in profile.all_tags():
        return (mark.label,)
    kind = profile.moments.get(mark.label)
    return kind.tags[:1] if kind is not None else ()


def _lifted(
    candidate: HighlightCandidate, mark: Mark, profile: GameProfile, *, known: bool
) -> HighlightScore:
    trust = profile.analyzer.signals.timed_metadata
    with_mark, without = candidate.score, candidate.unmarked or candidate.score
    less, more = min(trust, 1.0), max(trust - 1.0, 0.0)
    weight = mark.importance / USUAL_IMPORTANCE
    lift = KNOWN * mark.importance * less if known else 0.0
    heaviest = max(profile.weights.values())
    values = {
        name: _shifted(
            _between(getattr(without, name), value, less),
            TRUST * more * weight + lift * profile.weights[name] / heaviest,
        )
        for name, value in with_mark.dimensions().items()
    }
    confidence = _between(without.confidence, with_mark.confidence, less)
    return HighlightScore(**values, confidence=confidence)


def _between(none: float, all_of_it: float, share: float) -> float:
    return none + share * (all_of_it - none)


def _shifted(value: float, nats: float) -> float:
    """Return a probability moved by so many nats; 0 and 1 are not beyond reach."""
    if nats == 0.0:
        return value
    within = min(1.0 - _SURE, max(_SURE, value))
    return round(1.0 / (1.0 + math.exp(-(math.log(within / (1.0 - within)) + nats))), 4)
