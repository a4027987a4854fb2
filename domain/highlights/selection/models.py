"""Selection: decisions, state carried between calls, and messages of the activity."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import NonNegativeFloat

from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import Gap
from domain.model import Model


class DecisionStatus(StrEnum):
    """Outcome of selection for a candidate."""

    PENDING = "pending"  # good enough now; a better one nearby may still replace it
    CONFIRMED = "confirmed"  # final
    RETRACTED = "retracted"  # final: was pending, then displaced
    HELD = "held"  # good enough, but a better neighbour stands in its way so far; not shown
    REJECTED = "rejected"  # never shown


HIDDEN: Final = frozenset({DecisionStatus.HELD, DecisionStatus.REJECTED})
"""Statuses hidden from tenants by default."""


class Tier(StrEnum):
    """Quality of a highlight, by its profile's thresholds."""

    __hash__ = str.__hash__  # an enumeration's own is slow, and this one is looked up by thousands

    EXCEPTIONAL = "exceptional"
    HIGH_QUALITY = "high_quality"
    STANDARD = "standard"
    BELOW = "below"


class Reason(Model):
    """One reason of a decision: a code for programs, a sentence for people, and numbers."""

    code: str
    words: str
    value: float | None = None
    limit: float | None = None
    other: UUID | None = None


class Decision(Model):
    """Decision on one candidate, with all reasons.

    `clip_start`..`clip_end` are the optimized bounds of its clip (s of media time), which never
    change once decided. `decided_at` is the media time (watermark) of the decision.
    """

    highlight_id: UUID
    status: DecisionStatus
    tier: Tier
    score: float
    peak: NonNegativeFloat
    clip_start: NonNegativeFloat
    clip_end: NonNegativeFloat
    decided_at: NonNegativeFloat
    reasons: tuple[Reason, ...] = ()

    def has(self, code: str) -> bool:
        """Return True if one of the reasons has this code."""
        return any(reason.code == code for reason in self.reasons)

    def until(self, media_end: float) -> Decision:
        """Return a copy with the clip limited to the media, which ends at `media_end` (s)."""
        if self.clip_end <= media_end:
            return self
        return self._replace(
            peak=min(self.peak, media_end),
            clip_start=min(self.clip_start, media_end),
            clip_end=media_end,
            status=self.status,
        )

    def with_clip(self, start: float, end: float) -> Decision:
        """Return a copy with other clip bounds (s of media time)."""
        return self._replace(peak=self.peak, clip_start=start, clip_end=end, status=self.status)

    def withdrawn(self) -> Decision:
        """Return a copy that is retracted."""
        return self._replace(
            peak=self.peak,
            clip_start=self.clip_start,
            clip_end=self.clip_end,
            status=DecisionStatus.RETRACTED,
        )

    def _replace(
        self, *, peak: float, clip_start: float, clip_end: float, status: DecisionStatus
    ) -> Decision:
        return Decision(
            highlight_id=self.highlight_id,
            status=status,
            tier=self.tier,
            score=self.score,
            peak=peak,
            clip_start=clip_start,
            clip_end=clip_end,
            decided_at=self.decided_at,
            reasons=self.reasons,
        )


TimeRange = tuple[float, float]
"""Start and end in seconds of media time."""


class OpenCandidateState(Model):
    """An undecided candidate above the threshold, as stored in SelectionState.

    Attributes:
        candidate: without the fields that no longer matter (description, evidence, safe cuts).
        score: combined score by the profile's weights.
        clip_start, clip_end: bounds of its clip (s), fixed on arrival.
        start_moved, end_moved: seconds by which safe cuts moved those bounds.
        text: normalized words of title and description, for similarity.
        shown: True if it was published as pending.
        late: True if it arrived after the watermark had passed its peak.
    """

    candidate: HighlightCandidate
    score: float
    tier: Tier
    clip_start: float
    clip_end: float
    start_moved: float = 0.0
    end_moved: float = 0.0
    text: str = ""
    shown: bool = False
    late: bool = False


class ConfirmedHighlight(Model):
    """A confirmed highlight that is recent enough to matter for spacing and similarity.

    `clip_start` and `clip_end` bound its clip (s); None if only the moment's span is known.
    """

    id: UUID
    start: float
    peak: float
    end: float
    clip_start: float | None = None
    clip_end: float | None = None
    title: str = ""
    text: str = ""
    tags: tuple[str, ...] = ()
    thumbnail_hash: str | None = None
    override: bool = False

    @property
    def shown(self) -> TimeRange:
        """Span (s) that its clip shows."""
        if self.clip_start is None or self.clip_end is None:
            return self.start, self.end
        return self.clip_start, self.clip_end


class ConfirmedPeak(NamedTuple):
    """An older confirmed highlight, kept for quotas and for late candidates.

    `start` and `end` bound the span that its clip shows (s); None in states written by old
    versions.
    """

    id: UUID
    peak: float
    override: bool
    start: float | None = None
    end: float | None = None

    @property
    def shown(self) -> TimeRange:
        """Span (s) that its clip shows; only the peak if it is unknown."""
        return (
            self.peak if self.start is None else self.start,
            self.peak if self.end is None else self.end,
        )


class RejectedCandidate(NamedTuple):
    """A recent rejection, kept so that a candidate delivered twice is decided once."""

    id: UUID
    peak: float


class SelectionState(Model):
    """State of selection between calls, carried by the stream's workflow.

    Bounded: open candidates of the windows that are not closed, two hours of confirmed peaks, two
    windows of rejections. `next_decision_at` is the smallest watermark (s) at which a call without
    new candidates would decide anything; None if nothing is open.
    """

    open: tuple[OpenCandidateState, ...] = ()
    placed: tuple[ConfirmedHighlight, ...] = ()
    past: tuple[ConfirmedPeak, ...] = ()
    refused: tuple[RejectedCandidate, ...] = ()
    watermark: NonNegativeFloat = 0.0
    ended: bool = False
    next_decision_at: float | None = None


class SelectHighlightsInput(Model):
    """Input of `select_highlights`: new candidates and the watermark.

    `watermark` is the media time (s) before which no further candidate will peak. `gaps` are the
    known stretches without media that could touch these candidates' clips. `media_end` is the end
    of the stream's media (s), once it has ended.
    """

    tenant_id: UUID
    stream_id: UUID
    profile_id: str
    profile_version: str
    state: SelectionState
    candidates: tuple[HighlightCandidate, ...]
    watermark: NonNegativeFloat
    ended: bool = False
    gaps: tuple[Gap, ...] = ()
    media_end: NonNegativeFloat | None = None


class SelectHighlightsResult(Model):
    """The new state, and the decisions that are new or changed, in order of peak."""

    state: SelectionState
    decisions: tuple[Decision, ...] = ()


def needs_selection(
    state: SelectionState,
    *,
    watermark: float,
    candidates: Sequence[HighlightCandidate] = (),
    ended: bool = False,
) -> bool:
    """Return True if a call to select could decide anything; otherwise it can be skipped.

    A skipped watermark is not lost: the next call carries a later one.
    """
    if candidates:
        return True
    if ended:
        return bool(state.open) or not state.ended
    return state.next_decision_at is not None and watermark >= state.next_decision_at
