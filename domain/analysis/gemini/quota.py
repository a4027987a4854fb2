"""Gemini's quota, shared fairly between tenants (start-time fair queueing).

Each tenant has a virtual start time. A call advances its tenant's start time by the call's share of
the quota, and the waiting tenant with the lowest start time is next, however many streams others
have waiting. Idle tenants accumulate no credit.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.model import Model

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
        """Return the queue at a time, without tenants that neither used anything nor wait."""
        minute = max(self.minute, int(at // MINUTE))
        if minute == self.minute:
            return self
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
