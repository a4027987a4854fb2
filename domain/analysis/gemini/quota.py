"""Whose turn it is to ask Gemini: one quota, divided fairly between the tenants that wait for it.

Each tenant has a place in a queue by what it was given (start-time fair queueing): a call moves its
tenant back by the call's part of the quota, and the tenant farthest in front goes next, however
many streams of the others wait. Nobody saves up turns while it asks for nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.model import Model

MINUTE: Final = 60.0
"""Seconds over which Google counts."""

TURN: Final = 0.1
"""Seconds after which whoever waits for its turn asks again."""

_GRACE: Final = 1.0
"""Seconds for which a turn is kept for one that does not come: its worker may have died."""


class QuotaLimits(Model):
    """How much may be asked.

    Attributes:
        requests_per_minute: of the project.
        tokens_per_minute: of the project.
        tenant_share: share of both that one tenant may take.
        patience: seconds that a call waits for its turn.
    """

    requests_per_minute: PositiveInt = 150
    tokens_per_minute: PositiveInt = 1_000_000
    tenant_share: float = Field(default=0.5, gt=0.0, le=1.0)
    patience: PositiveFloat = 5.0

    @property
    def project(self) -> QuotaAmount:
        """What all tenants together may take in a minute."""
        return QuotaAmount(requests=self.requests_per_minute, tokens=self.tokens_per_minute)

    @property
    def tenant(self) -> QuotaAmount:
        """What one tenant may take in a minute."""
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
    """What was taken in the minute that runs, and in the one before."""

    now: QuotaAmount = QuotaAmount()
    before: QuotaAmount = QuotaAmount()

    def after(self, minutes: int) -> MinuteUsage:
        """Return the count so many minutes later."""
        if minutes <= 0:
            return self
        return MinuteUsage(before=self.now if minutes == 1 else QuotaAmount())

    def plus(self, amount: QuotaAmount) -> MinuteUsage:
        """Return the count with more taken now."""
        return MinuteUsage(now=self.now.plus(amount), before=self.before)

    def delay(self, wanted: QuotaAmount, limit: QuotaAmount, *, passed: float) -> float:
        """Return the seconds until there may be room, 0 when there is.

        `passed` is the part of the minute that has passed; of the minute before, the rest counts.
        """
        return max(
            _delay(
                self.now.requests + wanted.requests, self.before.requests, limit.requests, passed
            ),
            _delay(self.now.tokens + wanted.tokens, self.before.tokens, limit.tokens, passed),
        )


class TenantQuota(Model):
    """A tenant's place: what it took, where it stands, and until when (s) its turn is kept."""

    count: MinuteUsage = MinuteUsage()
    stands: NonNegativeFloat = 0.0
    waits_until: NonNegativeFloat = 0.0


class QuotaDecision(NamedTuple):
    """The queue afterwards, and the seconds to wait; None when the call may be made."""

    queue: FairQueue
    delay: float | None


class FairQueue(Model):
    """A value: what was taken lately, and who waits.

    Attributes:
        minute: the minute that runs, counted from the epoch.
        count: what all tenants took.
        front: where the tenant stood that was served last; nobody stands before it.
        places: of the tenants of the last two minutes.
    """

    minute: NonNegativeInt = 0
    count: MinuteUsage = MinuteUsage()
    front: NonNegativeFloat = 0.0
    places: dict[UUID, TenantQuota] = Field(default_factory=dict)

    def take(
        self, tenant_id: UUID, tokens: int, limits: QuotaLimits, *, at: float
    ) -> QuotaDecision:
        """Take a request and its `tokens` at a time in seconds since the epoch, or say when."""
        queue = self.in_minute_of(at)
        # A call that never fits could never be made.
        wanted = QuotaAmount(requests=1, tokens=min(tokens, limits.tenant.tokens))
        place = queue.places.get(tenant_id, TenantQuota())
        stands, passed = max(queue.front, place.stands), at % MINUTE / MINUTE
        if own := place.count.delay(wanted, limits.tenant, passed=passed):
            # It waits for itself, and holds up nobody.
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
        update = {"count": queue.count.plus(wanted), "front": stands}
        return QuotaDecision(queue.model_copy(update=update), None)

    def in_minute_of(self, at: float) -> FairQueue:
        """Return the queue in the minute of a time; those that took and want nothing are gone."""
        minute = max(self.minute, int(at // MINUTE))
        if minute == self.minute:
            return self
        gone = minute - self.minute
        places = {
            tenant: place.model_copy(update={"count": place.count.after(gone)})
            for tenant, place in self.places.items()
        }
        kept = {
            tenant: place
            for tenant, place in places.items()
            if place.count != MinuteUsage() or place.waits_until > at or place.stands > self.front
        }
        return FairQueue(minute=minute, count=self.count.after(gone), front=self.front, places=kept)

    def is_behind(self, tenant_id: UUID, stands: float, at: float) -> bool:
        """Tell whether somebody who waits stands farther in front."""
        return any(
            place.waits_until > at and max(self.front, place.stands) < stands
            for other, place in self.places.items()
            if other != tenant_id
        )

    def with_place(self, tenant_id: UUID, place: TenantQuota, *, waits_until: float) -> FairQueue:
        """Return the queue with a tenant in that place, waiting until then (0: not at all)."""
        changed = place.model_copy(update={"waits_until": waits_until})
        return self.model_copy(update={"places": {**self.places, tenant_id: changed}})


def _delay(now: int, before: int, limit: int, passed: float) -> float:
    room = limit - now
    if room < 0:
        return (1.0 - passed) * MINUTE
    if before * (1.0 - passed) <= room:
        return 0.0
    return (1.0 - room / before - passed) * MINUTE
