"""What was decided about a candidate, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NotRequired, TypedDict
from uuid import UUID

from pydantic import NonNegativeFloat

from domain.model import Model


class DecisionStatus(StrEnum):
    """What was decided about a candidate."""

    PENDING = "pending"  # good enough today; a better neighbour may still displace it
    CONFIRMED = "confirmed"  # final
    RETRACTED = "retracted"  # final: was pending, then displaced
    HELD = "held"  # good enough, but a better neighbour stands in its way so far; not shown
    REJECTED = "rejected"  # never shown


HIDDEN: Final = frozenset({DecisionStatus.HELD, DecisionStatus.REJECTED})
"""What a tenant does not see unless asked for."""


class Tier(StrEnum):
    """How good a highlight is, by its profile's thresholds."""

    __hash__ = str.__hash__  # an enumeration's own is slow, and this one is looked up by thousands

    EXCEPTIONAL = "exceptional"
    HIGH_QUALITY = "high_quality"
    STANDARD = "standard"
    BELOW = "below"


class Reason(Model):
    """One reason of a decision: a code for programs, a sentence for people, and its numbers."""

    code: str
    words: str
    value: float | None = None
    limit: float | None = None
    other: UUID | None = None


class ReasonFields(TypedDict):
    """A reason not yet validated."""

    code: str
    words: str
    value: NotRequired[float]
    limit: NotRequired[float]
    other: NotRequired[UUID | None]


class Decision(Model):
    """What was decided about one candidate, with every reason.

    `clip_start`..`clip_end` are the optimised bounds (seconds of media time) of its clip, which
    never change once decided; `decided_at` is the media time (watermark) of the decision.
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

    def until(self, media_end: float) -> Decision:
        """Return it with the bounds of its clip within the media, which ends at `media_end` (s)."""
        if self.clip_end <= media_end:
            return self
        bounds = {"clip_start": min(self.clip_start, media_end), "clip_end": media_end}
        return self.model_copy(update=bounds | {"peak": min(self.peak, media_end)})


class DecisionFields(TypedDict):
    """A decision not yet validated.

    A call may reach a hundred thousand: validated in one go they cost less than built one by one.
    """

    highlight_id: UUID
    status: DecisionStatus
    tier: Tier
    score: float
    peak: float
    clip_start: float
    clip_end: float
    decided_at: float
    reasons: tuple[Reason | ReasonFields, ...]
