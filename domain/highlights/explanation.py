"""Titles of highlights without a title, and explanations of decisions as text.

Only Gemini writes titles. Without one, a highlight is named after known facts: the game, the time,
and a tag that names a kind of moment or the strongest signals.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from domain.analysis.scoring import SIGNAL_TAGS
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import HIDDEN, Decision, DecisionStatus
from domain.media.timestamps import format_timestamp
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS

_NO_GAME: Final = "default"


_MOST: Final = 2


def headline(title: str, *, game: str, tags: Collection[str], peak: float) -> str:
    """Return the title to display.

    Args:
        title: the highlight's own, which comes first; empty when it has none.
        game: id of the profile's game, such as `soccer`.
        tags: the highlight's tags, the most telling first.
        peak: seconds of media time.
    """
    if title:
        return title
    # One highlight with a damaged time does not keep a page of others from being shown.
    at = f" at {format_timestamp(peak)}" if math.isfinite(peak) else ""
    kinds = [_words(tag) for tag in tags if tag not in SIGNAL_TAGS]
    if kinds:
        return f"{_capitalized(kinds[0])}{at}"
    moment = "Highlight" if game in {"", _NO_GAME} else f"{_capitalized(_words(game))} highlight"
    signals = [_words(tag) for tag in tags if tag in SIGNAL_TAGS][:_MOST]
    return f"{moment}{at}" + (f": {', '.join(signals)}" if signals else "")


def _words(slug: str) -> str:
    return slug.replace("_", " ").strip()


def _capitalized(words: str) -> str:
    return words[:1].upper() + words[1:]


_VERDICTS: Final = {
    DecisionStatus.PENDING: "is a highlight for now; a better one nearby may still replace it",
    DecisionStatus.CONFIRMED: "is a highlight, for good",
    DecisionStatus.RETRACTED: "was shown as pending, then displaced",
    DecisionStatus.HELD: "stands back for a better neighbour, so far",
    DecisionStatus.REJECTED: "was not chosen",
}


def explain(
    candidate: HighlightCandidate, decision: Decision, profile: GameProfile
) -> tuple[str, ...]:
    """Return why `decision` was made, the outcome first, one sentence or table row per line."""
    title = f"“{candidate.title}”" if candidate.title else "The moment"
    verdict = _VERDICTS[decision.status]
    lines = [
        f"{title} at {format_timestamp(decision.peak)} {verdict}.",
        f"Decided when analysis had reached {format_timestamp(decision.decided_at)}.",
        *(reason.words for reason in decision.reasons),
        *_score_lines(candidate, decision, profile),
    ]
    if decision.status not in HIDDEN:
        lines.append(_clip_line(candidate, decision, profile))
    lines += [
        f"Evidence: {item.words} ({item.signal} {item.strength:+.1f})."
        for item in candidate.evidence
    ]
    lines += [f"Corrected: {correction}." for correction in candidate.corrections]
    return tuple(lines)


def _score_lines(
    candidate: HighlightCandidate, decision: Decision, profile: GameProfile
) -> list[str]:
    """Return the contribution of each dimension, the largest first."""
    values = candidate.score.dimensions()
    gave = {name: values[name] * profile.weights[name] for name in DIMENSIONS}
    heading = (
        f"Combined score {decision.score:.3f} by profile {profile.name} "
        f"({decision.tier.replace('_', ' ')}), from {candidate.analyzer}, "
        f"{candidate.score.confidence:.0%} sure:"
    )
    return [
        heading,
        *(
            f"  {name.replace('_', ' ')}: {values[name]:.2f} x {profile.weights[name]:.2f} "
            f"= {gave[name]:.3f}"
            for name in sorted(DIMENSIONS, key=lambda name: -gave[name])
        ),
    ]


def _clip_line(candidate: HighlightCandidate, decision: Decision, profile: GameProfile) -> str:
    return (
        f"Its clip runs {decision.clip_end - decision.clip_start:.1f} s, from "
        f"{candidate.start - decision.clip_start:.1f} s before the moment to "
        f"{decision.clip_end - candidate.end:.1f} s after it "
        f"(the profile asks for {profile.clip.pre_roll:g} and {profile.clip.post_roll:g})."
    )
