"""Reasons of decisions, as codes for programs and sentences for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final
from uuid import UUID

from domain.analysis.screen import MatchState
from domain.highlights.candidate import Mark
from domain.highlights.kinds import CriteriaConflict
from domain.highlights.selection.models import Reason, Tier
from domain.highlights.selection.resolution import Cause, SelectionVerdict
from domain.highlights.selection.timeline import Conflict
from domain.media.segments import Gap
from domain.media.timestamps import format_timestamp
from domain.profiles.model import SelectionLimits, Thresholds
from domain.score import HighlightScore

SHOWN_DIMENSIONS: Final = 3
"""Dimensions named in a sentence: those that gave the score most of its value."""


def tier_of(score: float, thresholds: Thresholds) -> Tier:
    """Return the tier of a combined score."""
    if score >= thresholds.exceptional:
        return Tier.EXCEPTIONAL
    if score >= thresholds.high_quality:
        return Tier.HIGH_QUALITY
    return Tier.STANDARD if score >= thresholds.standard else Tier.BELOW


def threshold_of(tier: Tier, thresholds: Thresholds) -> float:
    """Return the threshold of `tier`; for BELOW, the threshold that the score missed."""
    return thresholds.standard if tier is Tier.BELOW else float(getattr(thresholds, tier.value))


def score_reason(score: float, dimensions: HighlightScore, weights: Mapping[str, float]) -> Reason:
    """Return the reason that names the largest contributions to the score."""
    values = dimensions.dimensions()
    leading = sorted(values, key=lambda name: -weights[name] * values[name])[:SHOWN_DIMENSIONS]
    parts = ", ".join(
        f"{name.replace('_', ' ')} {values[name]:.2f} (weight {weights[name]:.2f})"
        for name in leading
    )
    return Reason(
        code="score",
        words=(
            f"Scored {score:.3f}, mostly by {parts}; "
            f"the analyzer was {dimensions.confidence:.0%} sure."
        ),
        value=score,
    )


def mark_reason(mark: Mark) -> Reason:
    """Return the reason of a moment that the tenant marked."""
    if mark.feed is not None:
        words = f"The tenant's feed speaks for it: {mark.feed.words}."
        return Reason(code="feed", words=words, value=mark.importance)
    return Reason(
        code="mark",
        words=f"The tenant marked it as {mark.label.replace('_', ' ')}, "
        f"of importance {mark.importance:.2f}.",
        value=mark.importance,
    )


def screen_reason(state: MatchState) -> Reason:
    """Return the reason that says what the screen showed."""
    return Reason(code="screen", words=f"The screen showed: {state.words}.")


def threshold_reason(tier: Tier, thresholds: Thresholds) -> Reason:
    """Return the reason that names the threshold reached or missed."""
    limit = threshold_of(tier, thresholds)
    verb = "is below" if tier is Tier.BELOW else "reaches"
    name = (Tier.STANDARD if tier is Tier.BELOW else tier).replace("_", " ")
    return Reason(
        code="threshold",
        words=f"Its score {verb} the {name} threshold of {limit:.2f}.",
        limit=limit,
    )


def pending_reason() -> Reason:
    """Return the reason of a pending highlight."""
    return Reason(
        code="pending",
        words="Good enough to be chosen if nothing better follows; not certain yet.",
    )


def weak_reason() -> Reason:
    """Return the reason of a weak candidate that waits for its window to close."""
    return Reason(
        code="weak",
        words="Chosen only if its window ends with too few moments above the threshold.",
    )


def bounds_reason(start_moved: float, end_moved: float) -> Reason:
    """Return the reason that names how far safe cuts moved the clip's bounds (s)."""
    moves = [
        f"{bound} {abs(moved):.1f} s {'later' if moved > 0 else 'earlier'}"
        for bound, moved in (("starts", start_moved), ("ends", end_moved))
        if moved
    ]
    return Reason(
        code="bounds",
        words=f"The clip {' and '.join(moves)}, where a cut does not hurt.",
    )


def late_reason(peak: float, watermark: float) -> Reason:
    """Return the reason of a candidate that arrived late."""
    return Reason(
        code="late",
        words=(
            f"Arrived when analysis had passed {format_timestamp(watermark)}, after its peak at "
            f"{format_timestamp(peak)}: judged against what was already confirmed."
        ),
        value=peak,
        limit=watermark,
    )


def too_late_reason() -> Reason:
    """Return the reason of a candidate that arrived too late to be compared."""
    return Reason(
        code="too_late",
        words="Arrived more than an hour of media after its peak; what stands there is settled.",
    )


def gap_reason(gap: Gap) -> Reason:
    """Return the reason of a candidate without media at its peak."""
    return Reason(
        code="gap",
        words=(
            f"Peaks where the stream has no media: {format_timestamp(gap.start)} to "
            f"{format_timestamp(gap.end)} was lost ({gap.reason.replace('_', ' ')})."
        ),
    )


def criteria_reason(conflict: CriteriaConflict) -> Reason:
    """Return the reason of a candidate that its stream's criteria do not ask for."""
    if conflict.excluded is not None:
        words = f"The stream's criteria exclude it: it is tagged {_listed((conflict.excluded,))}."
        return Reason(code="criteria_excluded", words=words)
    known = (
        f"it is tagged {_listed(conflict.kinds)}" if conflict.kinds else "no tag says what it is"
    )
    words = f"The stream's criteria ask for {_listed(conflict.wanted)}, and {known}."
    return Reason(code="criteria_not_met", words=words)


def _listed(slugs: Sequence[str]) -> str:
    return ", ".join(slug.replace("_", " ") for slug in slugs)


def decisive_reason(why: SelectionVerdict | Reason, limits: SelectionLimits) -> Reason:
    """Return the reason that settled the decision."""
    return why if isinstance(why, Reason) else _SENTENCES[why.cause](why, limits)


def _near(conflict: Conflict) -> str:
    if conflict.other is None:
        return "an earlier highlight"
    return _named(conflict.other.title, conflict.other.peak)


@lru_cache(maxsize=256)
def _named(title: str, peak: float) -> str:
    """Return a phrase for a highlight; cached, since one often conflicts with dozens."""
    name = f"“{title}”" if title else "the highlight"
    return f"{name} at {format_timestamp(peak)}"


def _spacing(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    conflict = _required_conflict(verdict)
    return Reason(
        code=verdict.cause,
        words=(
            f"Peaks {conflict.distance:.1f} s from {_near(conflict)}, which was chosen; "
            f"highlights keep {limits.min_spacing:.0f} s between their peaks."
        ),
        value=conflict.distance,
        limit=limits.min_spacing,
        other=_other(conflict),
    )


def _similar(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:  # noqa: ARG001 -- one shape
    conflict = _required_conflict(verdict)
    return Reason(
        code=verdict.cause,
        words=f"The same moment as {_near(conflict)}, which was chosen: {conflict.sameness}.",
        other=_other(conflict),
    )


def _next_window(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    conflict = _required_conflict(verdict)
    return Reason(
        code=verdict.cause,
        words=(
            f"A better moment, {_near(conflict)}, follows {conflict.distance:.1f} s later, just "
            "after this window's end."
        ),
        value=conflict.distance,
        limit=limits.min_spacing,
        other=_other(conflict),
    )


def _override(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    return Reason(
        code=verdict.cause,
        words=(
            f"Exceptional, so it stands although {_broken(verdict, limits)} (at most "
            f"{limits.exceptional_per_window} such per window)."
        ),
        limit=limits.exceptional_per_window,
        other=_other(verdict.conflict),
    )


def _override_limit(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    return Reason(
        code=verdict.cause,
        words=(
            f"Exceptional, but {_broken(verdict, limits)}, and its window already has "
            f"{limits.exceptional_per_window} that were let through all the same."
        ),
        limit=limits.exceptional_per_window,
        other=_other(verdict.conflict),
    )


def _broken(verdict: SelectionVerdict, limits: SelectionLimits) -> str:
    if verdict.conflict is not None:
        return f"it peaks {verdict.conflict.distance:.1f} s from {_near(verdict.conflict)}"
    if verdict.overridden is Cause.HOUR_QUOTA:
        return f"the hour already has its {limits.per_hour} highlights"
    return f"its window already has its {limits.per_window} highlights"


def _window_quota(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    return Reason(
        code=verdict.cause,
        words=(
            f"Its window of {limits.window / 60:g} min already has its {limits.per_window} "
            "highlights, each better or earlier confirmed."
        ),
        limit=limits.per_window,
    )


def _hour_quota(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    return Reason(
        code=verdict.cause,
        words=f"The hour around it already has its {limits.per_hour} highlights.",
        limit=limits.per_hour,
    )


def _variety(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    return Reason(
        code=verdict.cause,
        words=(
            "Others of its window show more variety for little less score, as the profile asks."
        ),
        limit=limits.diversity,
    )


def _best_of(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    return Reason(
        code=verdict.cause,
        words=(
            f"Its window had fewer than {limits.fill_to} highlights, so its best moments below the "
            "threshold are shown as well, as the profile asks (fill: best_of)."
        ),
        limit=limits.fill_to,
    )


def _filled(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:
    return Reason(
        code=verdict.cause,
        words=(
            f"Its window already has {limits.fill_to} highlights; moments below the threshold only "
            "fill it up to that number."
        ),
        limit=limits.fill_to,
    )


def _fixed(words: str) -> Callable[[SelectionVerdict, SelectionLimits], Reason]:
    def sentence(verdict: SelectionVerdict, limits: SelectionLimits) -> Reason:  # noqa: ARG001 -- one shape
        return Reason(code=verdict.cause, words=words)

    return sentence


_SENTENCES: Final[dict[Cause, Callable[[SelectionVerdict, SelectionLimits], Reason]]] = {
    Cause.EXCEPTIONAL: _fixed("Exceptional, so it is confirmed at once."),
    Cause.OVERRIDE: _override,
    Cause.OVERRIDE_LIMIT: _override_limit,
    Cause.WINDOW_CLOSED: _fixed("Its window is over, and it is among the window's best."),
    Cause.SAFE_EARLY: _fixed("Nothing that may still come could take its place."),
    Cause.LATE_FREE: _fixed("Its place in the window that has closed was free."),
    Cause.BEST_OF: _best_of,
    Cause.SPACING: _spacing,
    Cause.SIMILAR: _similar,
    Cause.NEXT_WINDOW: _next_window,
    Cause.WINDOW_QUOTA: _window_quota,
    Cause.HOUR_QUOTA: _hour_quota,
    Cause.VARIETY: _variety,
    Cause.FILLED: _filled,
}


def _required_conflict(verdict: SelectionVerdict) -> Conflict:
    if verdict.conflict is None:
        raise ValueError(f"a verdict by {verdict.cause} names what it conflicts with")
    return verdict.conflict


def _other(conflict: Conflict | None) -> UUID | None:
    return conflict.other.id if conflict is not None and conflict.other is not None else None
