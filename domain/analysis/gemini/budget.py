"""What may be spent on Gemini: the gate, budgets, the circuit breaker and the shared quota."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

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


MINUTE: Final = 60.0
"""Seconds of the quota window that Google uses."""


TURN: Final = 0.1
"""Polling interval of a waiting call, in seconds."""


_GRACE: Final = 1.0
"""Seconds for which a turn is reserved for a waiting call, whose worker may have died."""


class QuotaLimits(Model):
    """Limits of the quota.

    Attributes:
        requests_per_minute: limit of the project.
        tokens_per_minute: limit of the project.
        tenant_share: share of both that one tenant may use, 0 to 1.
        patience: longest wait of a call, in seconds.
    """

    requests_per_minute: PositiveInt = 150
    tokens_per_minute: PositiveInt = 1_000_000
    tenant_share: float = Field(default=0.5, gt=0.0, le=1.0)
    patience: PositiveFloat = 5.0

    @property
    def project(self) -> QuotaAmount:
        """Limit of all tenants together, per minute."""
        return QuotaAmount(requests=self.requests_per_minute, tokens=self.tokens_per_minute)

    @property
    def tenant(self) -> QuotaAmount:
        """Limit of one tenant, per minute."""
        return QuotaAmount(
            requests=max(1, int(self.requests_per_minute * self.tenant_share)),
            tokens=max(1, int(self.tokens_per_minute * self.tenant_share)),
        )


class QuotaAmount(Model):
    """Requests and tokens."""

    requests: NonNegativeInt = 0
    tokens: NonNegativeInt = 0

    def plus(self, other: QuotaAmount) -> QuotaAmount:
        """Return the sum."""
        return QuotaAmount(
            requests=self.requests + other.requests, tokens=self.tokens + other.tokens
        )


class MinuteUsage(Model):
    """Usage in the current minute and in the minute before."""

    now: QuotaAmount = QuotaAmount()
    before: QuotaAmount = QuotaAmount()

    def after(self, minutes: int) -> MinuteUsage:
        """Return the usage `minutes` later."""
        if minutes <= 0:
            return self
        return MinuteUsage(before=self.now if minutes == 1 else QuotaAmount())

    def plus(self, amount: QuotaAmount) -> MinuteUsage:
        """Return the usage with `amount` added to the current minute."""
        return MinuteUsage(now=self.now.plus(amount), before=self.before)

    def delay(self, wanted: QuotaAmount, limit: QuotaAmount, *, passed: float) -> float:
        """Return the seconds until `wanted` may fit, 0 if it fits now.

        `passed` is the part of the current minute that has passed; the rest of the window is taken
        from the minute before.
        """
        return max(
            _delay(
                self.now.requests + wanted.requests, self.before.requests, limit.requests, passed
            ),
            _delay(self.now.tokens + wanted.tokens, self.before.tokens, limit.tokens, passed),
        )


class TenantQuota(Model):
    """A tenant's usage, its virtual start time, and until when (s) its turn is reserved."""

    count: MinuteUsage = MinuteUsage()
    stands: NonNegativeFloat = 0.0
    waits_until: NonNegativeFloat = 0.0


class QuotaDecision(NamedTuple):
    """The queue after a request, and the seconds to wait; None if the call may be made."""

    queue: FairQueue
    delay: float | None


class FairQueue(Model):
    """Recent usage and waiting tenants. Immutable.

    Attributes:
        minute: current minute, counted from the epoch.
        count: usage of all tenants.
        front: virtual start time of the tenant served last, the lowest of all.
        places: tenants of the last two minutes.
    """

    minute: NonNegativeInt = 0
    count: MinuteUsage = MinuteUsage()
    front: NonNegativeFloat = 0.0
    places: dict[UUID, TenantQuota] = Field(default_factory=dict)

    def take(
        self, tenant_id: UUID, tokens: int, limits: QuotaLimits, *, at: float
    ) -> QuotaDecision:
        """Take one request and `tokens` at a time (s since the epoch), or return the delay."""
        queue = self.in_minute_of(at)
        # A call that exceeds the tenant's limit could never be made.
        wanted = QuotaAmount(requests=1, tokens=min(tokens, limits.tenant.tokens))
        place = queue.places.get(tenant_id, TenantQuota())
        stands, passed = max(queue.front, place.stands), at % MINUTE / MINUTE
        if own := place.count.delay(wanted, limits.tenant, passed=passed):
            # It waits for its own limit, and delays no other tenant.
            return QuotaDecision(
                queue.with_place(tenant_id, place, waits_until=0.0), max(TURN, own)
            )
        room = queue.count.delay(wanted, limits.project, passed=passed)
        if room or queue.is_behind(tenant_id, stands, at):
            delay = max(TURN, room)
            until = at + delay + _GRACE if delay <= limits.patience else 0.0
            return QuotaDecision(queue.with_place(tenant_id, place, waits_until=until), delay)
        cost = max(1 / limits.requests_per_minute, wanted.tokens / limits.tokens_per_minute)
        served = TenantQuota(count=place.count.plus(wanted), stands=stands + cost)
        queue = queue.with_place(tenant_id, served, waits_until=0.0)
        return QuotaDecision(
            FairQueue(
                minute=queue.minute,
                count=queue.count.plus(wanted),
                front=stands,
                places=queue.places,
            ),
            None,
        )

    def in_minute_of(self, at: float) -> FairQueue:
        """Return the queue at a time, without tenants that neither used anything nor wait.

        The minute does not go back for a worker whose clock is a little behind; one that is further
        ahead comes from a clock that was set back since, and the queue begins again.
        """
        minute = int(at // MINUTE)
        if minute <= self.minute <= minute + 1:
            return self
        if minute < self.minute:
            return FairQueue(minute=minute)
        gone = minute - self.minute
        places = {
            tenant: TenantQuota(
                count=place.count.after(gone),
                stands=place.stands,
                waits_until=place.waits_until,
            )
            for tenant, place in self.places.items()
        }
        kept = {
            tenant: place
            for tenant, place in places.items()
            if place.count != MinuteUsage() or place.waits_until > at or place.stands > self.front
        }
        return FairQueue(minute=minute, count=self.count.after(gone), front=self.front, places=kept)

    def is_behind(self, tenant_id: UUID, stands: float, at: float) -> bool:
        """Return True if a waiting tenant has a lower start time."""
        return any(
            place.waits_until > at and max(self.front, place.stands) < stands
            for other, place in self.places.items()
            if other != tenant_id
        )

    def with_place(self, tenant_id: UUID, place: TenantQuota, *, waits_until: float) -> FairQueue:
        """Return the queue with a tenant's state, waiting until a time (0: not waiting)."""
        changed = TenantQuota(count=place.count, stands=place.stands, waits_until=waits_until)
        return FairQueue(
            minute=self.minute,
            count=self.count,
            front=self.front,
            places={**self.places, tenant_id: changed},
        )


def _delay(now: int, before: int, limit: int, passed: float) -> float:
    room = limit - now
    if room < 0:
        return (1.0 - passed) * MINUTE
    if before * (1.0 - passed) <= room:
        return 0.0
    return (1.0 - room / before - passed) * MINUTE
