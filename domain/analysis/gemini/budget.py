"""Spending limits of Gemini: the cost gate of a stream, the tenant's budget, a circuit breaker.

The cost gate decides which chunks Gemini analyzes. Local signals rank the chunks: first those with
a moment that would be shown as it is, then those with a weaker one, then those that stand out among
the last hour's, then a random sample, so that moments without local signals are found as well. Two
limits apply: a share of the video so far, and dollars per hour of video. Chunks of the first kind
have the allowance of ten minutes from the start; the others share a part of what the stream has
earned so far, while all analyses together have not used that part, so that they cannot exhaust what
the best chunks need.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from domain.analysis.baseline import quantile
from domain.model import Model

WARM_UP: Final = 600.0
"""Seconds of media whose allowance promising chunks have from the start."""


_REMEMBERED: Final = 120


_KNOWN: Final = 8


_FOR_OTHERS: Final = 0.6


_STANDS_OUT: Final = 1.2


_HOUR: Final = 3600.0


class GateReason(StrEnum):
    """Why Gemini analyzes a chunk, or does not."""

    MOMENT = "moment"  # the local analyzer proposes a moment in it
    RANKED = "ranked"  # it stands out among the last chunks
    SAMPLED = "sampled"  # one of a few at random
    QUIET = "quiet"  # nothing in it stands out
    SHARE_USED = "share_used"  # the share for such chunks is used up, of the video or the dollars
    STREAM_BUDGET = "stream_budget"  # the stream's dollars are used up
    TENANT_BUDGET = "tenant_budget"  # the tenant's dollars are used up
    BUSY = "busy"  # the quota that all tenants share is used up for the moment
    DOWN = "down"  # Gemini is not reachable
    FAILED = "failed"  # it was asked, and gave nothing that could be used
    LATE = "late"  # there was no time left
    NO_MODEL = "no_model"  # the configured model is not offered
    NO_ACCESS = "no_access"  # the key is refused


REASON_TEXTS: Final = {
    GateReason.QUIET: "nothing stood out there",
    GateReason.SHARE_USED: "what such pieces may take of the video and the budget was used up",
    GateReason.STREAM_BUDGET: "the stream's budget was used up",
    GateReason.TENANT_BUDGET: "the tenant's budget was used up",
    GateReason.BUSY: "the shared quota of Gemini was used up for the moment",
    GateReason.DOWN: "Gemini was not reachable",
    GateReason.FAILED: "Gemini gave no answer that could be used",
    GateReason.LATE: "analysis had fallen behind",
    GateReason.NO_MODEL: "Gemini does not offer the configured model",
    GateReason.NO_ACCESS: "Gemini refused the configured key",
}
"""Why Gemini has not seen a moment; the text follows "not seen by Gemini: "."""


class GateLimits(Model):
    """Cost limits of a stream.

    Attributes:
        dollars_per_hour: dollars per hour of video.
        video_share: share of the video that Gemini may see, 0 to 1.
        sampled_share: share of the remaining chunks that are analyzed at random, 0 to 1.
    """

    dollars_per_hour: NonNegativeFloat = 0.25
    video_share: float = Field(default=0.35, gt=0.0, le=1.0)
    sampled_share: float = Field(default=0.05, ge=0.0, le=1.0)


class GateState(Model):
    """What a stream has used so far.

    Attributes:
        passed: seconds of media.
        watched: seconds of media that Gemini has seen.
        spent: dollars.
        ranks: ranks of the last chunks.
    """

    passed: NonNegativeFloat = 0.0
    watched: NonNegativeFloat = 0.0
    spent: NonNegativeFloat = 0.0
    ranks: tuple[float, ...] = ()

    def after(self, chunk: ChunkValue, *, watched: float = 0.0, spent: float = 0.0) -> GateState:
        """Return the state after a chunk of which `watched` seconds cost `spent` dollars."""
        return GateState(
            passed=self.passed + chunk.seconds,
            watched=self.watched + watched,
            spent=self.spent + spent,
            ranks=(*self.ranks, round(chunk.rank, 3))[-_REMEMBERED:],
        )


class ChunkValue(Model):
    """What the gate knows of a chunk.

    Attributes:
        seconds: seconds of new media.
        video_seconds: seconds that Gemini would see, lead-in included.
        rank: highest excitement in it, in robust standard deviations.
        has_moment: True if the local analyzer has found a moment in it.
        promising: True if the moment would be shown by its local score alone.
        dollars: expected cost of the analysis.
        sample: pseudorandom number in [0, 1), fixed for the chunk.
    """

    seconds: NonNegativeFloat
    video_seconds: NonNegativeFloat
    rank: float
    has_moment: bool
    promising: bool = False
    dollars: NonNegativeFloat
    sample: float = Field(ge=0.0, lt=1.0)


class GateDecision(Model):
    """Whether Gemini analyzes a chunk, and why."""

    query: bool
    reason: GateReason


def evaluate_gate(
    state: GateState, chunk: ChunkValue, limits: GateLimits, *, tenant_left: float
) -> GateDecision:
    """Decide whether Gemini analyzes a chunk.

    Args:
        state: what the stream has used so far.
        chunk: the chunk.
        limits: of the stream.
        tenant_left: dollars that the tenant may still spend.
    """
    reason = _worth(state, chunk, limits)
    if reason is GateReason.QUIET:
        return GateDecision(query=False, reason=reason)
    passed = state.passed + chunk.seconds
    whole = max(passed, WARM_UP)
    basis = whole if chunk.promising else _FOR_OTHERS * passed
    dollars = limits.dollars_per_hour / _HOUR
    if state.spent + chunk.dollars > dollars * whole:
        return GateDecision(query=False, reason=GateReason.STREAM_BUDGET)
    if state.watched + chunk.video_seconds > limits.video_share * basis:
        return GateDecision(query=False, reason=GateReason.SHARE_USED)
    if state.spent + chunk.dollars > dollars * basis:
        return GateDecision(query=False, reason=GateReason.SHARE_USED)
    if chunk.dollars > tenant_left:
        return GateDecision(query=False, reason=GateReason.TENANT_BUDGET)
    return GateDecision(query=True, reason=reason)


def _worth(state: GateState, chunk: ChunkValue, limits: GateLimits) -> GateReason:
    if chunk.has_moment:
        return GateReason.MOMENT
    if len(state.ranks) >= _KNOWN and chunk.rank >= _STANDS_OUT:
        bar = quantile(state.ranks, 1.0 - limits.video_share * _FOR_OTHERS)
        if chunk.rank > bar:
            return GateReason.RANKED
    return GateReason.SAMPLED if chunk.sample < limits.sampled_share else GateReason.QUIET


class TenantSpending(Model):
    """Dollars that all streams of a tenant have cost in the current hour and month (UTC)."""

    hour: NonNegativeFloat = 0.0
    month: NonNegativeFloat = 0.0


class TenantBudget(Model):
    """Dollars that all streams of a tenant may cost together."""

    dollars_per_hour: NonNegativeFloat = 5.0
    dollars_per_month: NonNegativeFloat = 500.0

    def remaining_dollars(self, spent: TenantSpending) -> float:
        """Return the dollars that may still be spent, by the stricter of the two limits."""
        rest = min(self.dollars_per_hour - spent.hour, self.dollars_per_month - spent.month)
        return max(0.0, rest)


FAILURES_TO_OPEN: Final = 4
"""Consecutive failures that open the circuit."""


COOL_OFF: Final = 60.0
"""Seconds for which the circuit stays open; then one call is allowed."""


class CircuitBreaker(Model):
    """State of a circuit breaker. Immutable; times are seconds of any monotonic clock.

    Attributes:
        failures: consecutive failures.
        opened_at: when it opened or was last tried; None while it is closed.
    """

    failures: NonNegativeInt = 0
    opened_at: float | None = None

    def allows(self, now: float) -> bool:
        """Return True if a call may be made."""
        return self.opened_at is None or now >= self.opened_at + COOL_OFF

    def with_attempt(self, now: float) -> CircuitBreaker:
        """Return the breaker with a call in progress: of an open circuit, the only one."""
        return (
            self
            if self.opened_at is None
            else CircuitBreaker(failures=self.failures, opened_at=now)
        )

    def failed(self, now: float) -> CircuitBreaker:
        """Return the breaker after a failed call."""
        failures = self.failures + 1
        opened_at = now if failures >= FAILURES_TO_OPEN else self.opened_at
        return CircuitBreaker(failures=failures, opened_at=opened_at)

    def succeeded(self) -> CircuitBreaker:
        """Return the breaker after a successful call: closed."""
        return CircuitBreaker()
