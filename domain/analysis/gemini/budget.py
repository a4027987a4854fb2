"""The cost gate: which chunks of a stream are worth the price of a look.

Local signals rank the chunks. Those with a moment that would be shown as it is come first, then
those with a weaker one, then those that stand out among the last hour's, then a few at random, so
that what local signals are deaf to is still seen now and then. Two limits hold: a share of the
video so far, and dollars for each hour of it. The first kind of chunk has what ten minutes give
from the start; the others have a part of what the stream has come to so far, and only while all
looks together have not used that up: what few would miss must not take what the best ones need.

What a tenant may spend on Gemini, in an hour and in a month of UTC.

A circuit breaker: after failures in a row, leave a service alone for a while.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from domain.analysis.baseline import quantile
from domain.model import Model

WARM_UP: Final = 600.0
"""Seconds of media whose share and dollars are there from the start, for promising chunks."""


_REMEMBERED: Final = 120


_KNOWN: Final = 8


_FOR_OTHERS: Final = 0.6


_STANDS_OUT: Final = 1.2


_HOUR: Final = 3600.0


class GateReason(StrEnum):
    """Why a chunk is looked at, or not."""

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
"""Why Gemini has not seen a moment, to be read after "not seen by Gemini: "."""


class GateLimits(Model):
    """What a stream may cost, and what looking at a chunk needs."""

    dollars_per_hour: NonNegativeFloat = 0.25
    video_share: float = Field(default=0.35, gt=0.0, le=1.0)
    sampled_share: float = Field(default=0.05, ge=0.0, le=1.0)


class GateState(Model):
    """What has been seen of a stream, watched and paid: seconds of media, and dollars.

    `ranks` are those of the last chunks.
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
    """What is known of a chunk before anybody looks.

    Attributes:
        seconds: how much of the stream it covers.
        watch_seconds: how much would be watched, what leads up to it included.
        rank: the highest excitement in it, in robust standard deviations.
        has_moment: whether the local analyzer proposes a moment in it.
        promising: whether that moment would be shown as the local analyzer tells it.
        dollars: what a look would cost at most.
        chance: a number in [0, 1) that is always the same for this chunk, and else random.
    """

    seconds: NonNegativeFloat
    video_seconds: NonNegativeFloat
    rank: float
    has_moment: bool
    promising: bool = False
    dollars: NonNegativeFloat
    sample: float = Field(ge=0.0, lt=1.0)


class GateDecision(Model):
    """Whether to look, and why."""

    query: bool
    reason: GateReason


def evaluate_gate(
    state: GateState, chunk: ChunkValue, limits: GateLimits, *, tenant_left: float
) -> GateDecision:
    """Decide on a chunk; `tenant_left` is what the tenant may still spend, in dollars."""
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
    """Dollars that all streams of a tenant have cost in the hour and the month that are running."""

    hour: NonNegativeFloat = 0.0
    month: NonNegativeFloat = 0.0


class TenantBudget(Model):
    """Dollars that all streams of a tenant may cost."""

    dollars_per_hour: NonNegativeFloat = 5.0
    dollars_per_month: NonNegativeFloat = 500.0

    def remaining_dollars(self, spent: TenantSpending) -> float:
        """Return the dollars that may still be spent: in the hour or the month, whichever ends."""
        rest = min(self.dollars_per_hour - spent.hour, self.dollars_per_month - spent.month)
        return max(0.0, rest)


FAILURES_TO_OPEN: Final = 4
"""Failures in a row that open the circuit."""


COOL_OFF: Final = 60.0
"""Seconds for which it then stays open; after them one caller may try."""


class CircuitBreaker(Model):
    """A value: each method returns the circuit as it is afterwards. Times in s of any clock.

    Attributes:
        failures: in a row.
        opened_at: when it opened, or was last tried; None while it is closed.
    """

    failures: NonNegativeInt = 0
    opened_at: float | None = None

    def allows(self, now: float) -> bool:
        """Tell whether a call may be made."""
        return self.opened_at is None or now >= self.opened_at + COOL_OFF

    def with_attempt(self, now: float) -> CircuitBreaker:
        """Return it with a call under way: of an open circuit, the only one until it ends."""
        return self if self.opened_at is None else self.model_copy(update={"opened_at": now})

    def failed(self, now: float) -> CircuitBreaker:
        """Return it after a failure."""
        failures = self.failures + 1
        opened_at = now if failures >= FAILURES_TO_OPEN else self.opened_at
        return CircuitBreaker(failures=failures, opened_at=opened_at)

    def succeeded(self) -> CircuitBreaker:
        """Return it after a success: closed."""
        return CircuitBreaker()
