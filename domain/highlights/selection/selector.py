"""HighlightSelector: decides which candidates become highlights. Pure.

The decisions do not depend on how the candidates were batched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.kinds import CriteriaConflict, criteria_conflict
from domain.highlights.selection import reasons
from domain.highlights.selection.models import (
    ConfirmedPeak,
    Decision,
    DecisionStatus,
    Reason,
    RejectedCandidate,
    SelectHighlightsResult,
    SelectionState,
    Tier,
)
from domain.highlights.selection.resolution import Cause, Resolution, SelectionVerdict
from domain.highlights.selection.timeline import (
    ClipBounds,
    Conflict,
    OpenCandidate,
    SelectionRules,
    SelectionTimeline,
    clip_bounds,
    same_seconds,
)
from domain.media.segments import Gap
from domain.profiles.model import GameProfile
from domain.score import combination

REMEMBERED_HOURS = 2
"""Hours of confirmed peaks kept: one for the quota, one more for candidates an hour late."""

REFUSALS_KEPT = 2
"""Windows for which refused ids are kept, so that a repeated delivery is not judged twice."""

Explanation = SelectionVerdict | Reason | None
Reasons = tuple[Reason, ...]


class HighlightSelector:
    """Selects highlights by a profile's thresholds, spacing, quotas and diversity.

    See docs/selection.md for the invariants.
    """

    def __init__(self, profile: GameProfile) -> None:
        self._profile = profile
        self._rules = SelectionRules(profile)

    def select(
        self,
        state: SelectionState,
        candidates: Iterable[HighlightCandidate],
        *,
        watermark: float,
        ended: bool = False,
        gaps: Sequence[Gap] = (),
    ) -> SelectHighlightsResult:
        """Decide what can be decided; return what is new or changed, in order of peak.

        Args:
            state: state returned by the previous call, or a new one.
            candidates: candidates that arrived since, in any order.
            watermark: media time (s) before which no further candidate will peak; a value lower
                than before is ignored. A candidate with an earlier peak is late: it is compared
                with the highlights that are already confirmed.
            ended: True if no candidate will follow; `watermark` is then the end of the stream.
            gaps: stretches without media, which clips cannot show.
        """
        call = _Call(
            self._profile,
            self._rules,
            state,
            watermark=max(watermark, state.watermark),
            ended=ended or state.ended,
        )
        call.admit(candidates, gaps)
        return call.decide()


class _Call:
    """One call of the selector, with its working state."""

    def __init__(
        self,
        profile: GameProfile,
        rules: SelectionRules,
        before: SelectionState,
        *,
        watermark: float,
        ended: bool,
    ) -> None:
        self._profile = profile
        self._rules = rules
        self._before = before
        self._watermark = watermark
        self._ended = ended
        self._entries = {item.candidate.id.int: OpenCandidate.of(item) for item in before.open}
        self._late: list[OpenCandidate] = []
        self._thresholds = {
            tier: reasons.threshold_reason(tier, profile.thresholds) for tier in Tier
        }
        self._gaps: Sequence[Gap] = ()
        self._timeline = SelectionTimeline(rules, before.placed, before.past)
        self._refused = list(before.refused)
        self._refusals_from = watermark - REFUSALS_KEPT * rules.window
        self._decisions: list[
            tuple[float, int, int, OpenCandidate, DecisionStatus, Explanation]
        ] = []

    def admit(self, candidates: Iterable[HighlightCandidate], gaps: Sequence[Gap]) -> None:
        """Score the new candidates, and reject those that are not eligible."""
        self._gaps = gaps
        before = self._before
        decided = {item.id.int for item in before.refused}
        decided.update(item.id.int for item in before.placed)
        decided.update(item.id.int for item in before.past)
        combined, thresholds = combination(self._profile.weights), self._profile.thresholds
        best: dict[int, OpenCandidate] = {}
        for candidate in candidates:
            if (key := candidate.id.int) in decided:
                continue
            score = combined(candidate.score)
            entry = OpenCandidate(candidate, score, reasons.tier_of(score, thresholds))
            twin = best.setdefault(key, entry)
            if twin is not entry and entry.rank < twin.rank:
                best[key] = entry
        oldest = self._rules.first_open(self._before.watermark) - self._rules.hour
        for entry in best.values():
            if entry.tier is Tier.BELOW and not self._rules.fills:
                self._refuse(entry)
            elif gaps and (gap := self._gap_at(entry.peak)) is not None:
                self._refuse(entry, reasons.gap_reason(gap))
            elif self._rules.window_of(entry.peak) < oldest:
                self._refuse(entry, reasons.too_late_reason())
            elif (conflict := criteria_conflict(entry.candidate, self._profile)) is not None:
                self._refuse_unwanted(entry, conflict)
            else:
                self._enter(entry)

    def _gap_at(self, peak: float) -> Gap | None:
        return next((gap for gap in self._gaps if gap.start <= peak < gap.end), None)

    def _enter(self, entry: OpenCandidate) -> None:
        """Add a new candidate; of two versions of one candidate the better one is kept.

        A clip that was published keeps its bounds.
        """
        key = entry.id.int
        known = self._entries.get(key)
        if known is None:
            entry.late = entry.peak < self._before.watermark or self._before.ended
            if entry.late:
                self._late.append(entry)
            else:
                self._entries[key] = entry
        elif entry.rank < known.rank:
            entry.shown, entry.late = known.shown, known.late
            entry.bounds = known.bounds if known.shown else None
            entry.improved = True
            self._entries[key] = entry
        self._bounds(entry)  # what the clips show decides what is the same

    def decide(self) -> SelectHighlightsResult:
        """Make every decision that is due, and return it with the remaining state."""
        resolution = Resolution(self._rules, self._timeline, self._entries.values())
        first_open = (
            math.inf if self._before.ended else self._rules.first_open(self._before.watermark)
        )
        for entry in sorted(self._late, key=lambda item: (item.peak, item.rank)):
            resolution.decide_late_arrival(entry, first_open)
        resolution.advance(math.inf if self._ended else self._watermark)
        resolution.settle_early(self._watermark)
        for verdict in resolution.verdicts:
            if verdict.confirmed:
                self._show(verdict.entry, DecisionStatus.CONFIRMED, verdict)
            elif verdict.entry.shown:
                self._show(verdict.entry, DecisionStatus.RETRACTED, verdict)
                if verdict.entry.peak >= self._refusals_from:
                    self._remember_refusal(verdict.entry)
            else:
                self._refuse(verdict.entry, verdict)
        still_open = resolution.open()
        self._announce_pending(resolution)
        self._decisions.sort()
        state = self._remember(still_open, resolution.next_change(self._watermark))
        return SelectHighlightsResult(
            state=state,
            decisions=tuple(
                self._decision(entry, status, why)
                for _, _, _, entry, status, why in self._decisions
            ),
        )

    def _announce_pending(self, resolution: Resolution) -> None:
        """Publish as pending the candidates that would be confirmed if nothing followed.

        Other new candidates are held until their conflict disappears. A candidate is also held
        while a pending highlight shows the same seconds, and a weak one until its window closes,
        since most of them are displaced.
        """
        trial = resolution.copy()
        trial.advance(math.inf)
        arrived = self._entries.keys() | {item.id.int for item in self._late}
        arrived -= {item.candidate.id.int for item in self._before.open}
        shown = [item for item in resolution.open() if item.shown]
        held: list[tuple[OpenCandidate, Explanation]] = []
        for verdict in trial.verdicts:
            entry = verdict.entry
            if not verdict.confirmed or entry.shown:
                if verdict.confirmed and entry.improved:
                    self._show(entry, DecisionStatus.PENDING, reasons.pending_reason())
                held.append((entry, verdict))
            elif entry.tier is Tier.BELOW:
                held.append((entry, reasons.weak_reason()))
            elif (conflict := _shown_already(entry, shown)) is not None:
                held.append((entry, SelectionVerdict(entry, Cause.SIMILAR, conflict)))
            else:
                entry.shown = True
                shown.append(entry)
                self._show(entry, DecisionStatus.PENDING, reasons.pending_reason())
        for entry, why in held:
            if entry.id.int in arrived and not entry.shown:
                self._show(entry, DecisionStatus.HELD, why)

    def _refuse(self, entry: OpenCandidate, why: Explanation = None) -> None:
        """Record the rejection of a candidate that was never shown."""
        if entry.peak >= self._refusals_from:
            self._remember_refusal(entry)
        self._record(entry, DecisionStatus.REJECTED, why)

    def _refuse_unwanted(self, entry: OpenCandidate, conflict: CriteriaConflict) -> None:
        """Reject a candidate that the criteria do not ask for; retract it if it was published."""
        known = self._entries.pop(entry.id.int, None)
        why = reasons.criteria_reason(conflict)
        if known is None or not known.shown:
            self._refuse(entry, why)
            return
        entry.bounds = known.bounds
        self._remember_refusal(entry)
        self._show(entry, DecisionStatus.RETRACTED, why)

    def _remember_refusal(self, entry: OpenCandidate) -> None:
        """Remember a rejection, since the candidate might be delivered again."""
        self._refused.append(RejectedCandidate(entry.id, entry.peak))

    def _show(self, entry: OpenCandidate, status: DecisionStatus, why: Explanation) -> None:
        """Record a visible decision, with the bounds of its clip."""
        self._bounds(entry)
        self._record(entry, status, why)

    def _record(self, entry: OpenCandidate, status: DecisionStatus, why: Explanation) -> None:
        """Add a decision; decisions are returned in order of peak, then id, then insertion."""
        rank = entry.rank
        self._decisions.append((rank[2], rank[3], len(self._decisions), entry, status, why))

    def _decision(self, entry: OpenCandidate, status: DecisionStatus, why: Explanation) -> Decision:
        """Return a decision; without a clip, the bounds are the moment's span."""
        candidate = entry.candidate
        bounds = entry.bounds or candidate
        return Decision(
            highlight_id=candidate.id,
            status=status,
            tier=entry.tier,
            score=entry.score,
            peak=entry.peak,
            clip_start=bounds.start,
            clip_end=bounds.end,
            decided_at=self._watermark,
            reasons=self._explain(entry, status, why),
        )

    def _explain(self, entry: OpenCandidate, status: DecisionStatus, why: Explanation) -> Reasons:
        """Return the reasons of a decision; for a rejection, only those against the candidate."""
        found: list[Reason] = [self._thresholds[entry.tier]]
        if status is not DecisionStatus.REJECTED:
            score, weights = entry.candidate.score, self._profile.weights
            found.insert(0, reasons.score_reason(entry.score, score, weights))
            bounds = self._bounds(entry)
            if bounds.start_moved or bounds.end_moved:
                found.append(reasons.bounds_reason(bounds.start_moved, bounds.end_moved))
        if entry.candidate.mark is not None:
            found.append(reasons.mark_reason(entry.candidate.mark))
        if entry.candidate.state is not None:
            found.append(reasons.screen_reason(entry.candidate.state))
        if entry.late:
            found.append(reasons.late_reason(entry.peak, self._before.watermark))
        if why is not None:
            found.append(reasons.decisive_reason(why, self._rules.limits))
        return tuple(found)

    def _bounds(self, entry: OpenCandidate) -> ClipBounds:
        """Return the bounds of the clip, computed in the call in which the candidate arrived."""
        if entry.bounds is None:
            candidate, peak = entry.candidate, entry.peak
            end_of_stream = max(self._watermark, peak) if self._ended else math.inf
            entry.bounds = clip_bounds(
                start=candidate.start,
                peak=peak,
                end=candidate.end,
                shape=self._profile.clip,
                safe_starts=candidate.safe_starts,
                safe_ends=candidate.safe_ends,
                available=(
                    max((gap.end for gap in self._gaps if gap.end <= peak), default=0.0),
                    min(
                        (gap.start for gap in self._gaps if gap.start > peak),
                        default=end_of_stream,
                    ),
                ),
            )
        return entry.bounds

    def _remember(
        self, entries: Sequence[OpenCandidate], next_decision_at: float | None
    ) -> SelectionState:
        """Return the state to carry to the next call, without what can no longer matter."""
        rules, first = self._rules, self._rules.first_open(self._watermark)
        near = min(first * rules.window, self._watermark) - rules.reach - rules.window
        oldest = (first - REMEMBERED_HOURS * rules.hour) * rules.window
        confirmed = [item for item in self._timeline.placed if item.peak >= oldest]
        faded = (
            ConfirmedPeak(item.id, item.peak, item.override, *item.shown)
            for item in confirmed
            if item.peak < near
        )
        past = [item for item in (*self._timeline.past, *faded) if item.peak >= oldest]
        return SelectionState(
            open=tuple(
                item.state(self._bounds(item))
                for item in sorted(entries, key=lambda item: (item.peak, item.rank))
            ),
            placed=tuple(item for item in confirmed if item.peak >= near),
            past=tuple(sorted(past, key=lambda item: (item.peak, item.id.int))),
            refused=tuple(
                sorted(
                    (item for item in self._refused if item.peak >= self._refusals_from),
                    key=lambda item: (item.peak, item.id.int),
                )
            ),
            watermark=self._watermark,
            ended=self._ended,
            next_decision_at=next_decision_at,
        )


def _shown_already(entry: OpenCandidate, shown: Iterable[OpenCandidate]) -> Conflict | None:
    """Return the conflict with a pending highlight whose clip shows the same seconds."""
    for other in shown:
        if (words := same_seconds(entry, other)) is not None:
            return Conflict(other, abs(other.peak - entry.peak), words)
    return None
