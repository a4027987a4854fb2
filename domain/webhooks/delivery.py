"""Delivery of webhook events: retry schedule, messages of DeliveryWorkflow, and its queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.model import Model

_MINUTE: Final = 60.0


_HOUR: Final = 3600.0


OFFSETS: Final = (
    *(0.0, 5.0, 15.0, 30.0, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""Seconds from a delivery's first attempt to each of its attempts: the schedule that Standard
Webhooks recommends, over one day, with more steps in the first half hour, since most outages of
endpoints are restarts that take a minute."""


LONGEST_RETRY_AFTER: Final = 24 * _HOUR
"""Seconds for which an endpoint can put off its next attempt by `Retry-After`, at most."""


JITTER: Final = 0.1
"""By what share of itself a wait is lengthened at most, so that what failed together does not
come back together."""


def attempt_at(
    number: int,
    *,
    began: datetime,
    offsets: Sequence[float] = OFFSETS,
    jitter: float = JITTER,
    chance: float = 0.0,
) -> datetime | None:
    """Return when attempt `number` (from 0) is due, or None if there is no such attempt.

    Args:
        number: number of the attempt.
        began: time of the first attempt.
        offsets: seconds from the first attempt to each, ascending.
        jitter: maximum share by which a wait is extended.
        chance: random number from 0 to 1 for this attempt.
    """
    if number >= len(offsets):
        return None
    wait = offsets[number] - (offsets[number - 1] if number else 0.0)
    return began + timedelta(seconds=offsets[number] + wait * jitter * chance)


class DeliveryTiming(Model):
    """Timers and timeouts of a delivery, in seconds.

    Attributes:
        offsets: from the first attempt to each, ascending; one entry per attempt.
        jitter: maximum share by which a wait is extended.
        attempt_timeout: longest run of one attempt, database writes included.
        heartbeat_timeout: after this long without a heartbeat another worker takes over.
        retry_interval: wait before an attempt that our own failure interrupted is repeated.
    """

    offsets: tuple[NonNegativeFloat, ...] = Field(default=OFFSETS, min_length=1)
    jitter: NonNegativeFloat = JITTER
    attempt_timeout: PositiveFloat = 60.0
    heartbeat_timeout: PositiveFloat = 10.0
    retry_interval: PositiveFloat = 1.0


class DeliveryOrder(Model):
    """Signal to deliver an event. The lowest `position`, that of the event, is delivered first.

    `at_once` skips the wait for the next attempt.
    """

    delivery_id: UUID
    position: NonNegativeInt
    at_once: bool = False


@dataclass(frozen=True, kw_only=True)
class DeliveryEntry:
    """A delivery in the queue.

    Attributes:
        attempt: number (from 0) of the next attempt.
        began: time of the first attempt.
        due: when the next attempt is due; None for now.
        scheduled: when the attempt was due before its wait was skipped. An extra attempt that fails
            does not use up a scheduled one.
    """

    delivery_id: UUID
    position: NonNegativeInt
    attempt: NonNegativeInt = 0
    began: datetime | None = None
    due: datetime | None = None
    scheduled: datetime | None = None


class DeliveryResult(Model):
    """Number of finished deliveries by outcome."""

    succeeded: NonNegativeInt = 0
    failed: NonNegativeInt = 0
    dropped: NonNegativeInt = 0

    def plus(self, outcome: AttemptOutcome) -> DeliveryResult:
        """Return the counts with one more finished delivery."""
        return DeliveryResult(
            succeeded=self.succeeded + (outcome is AttemptOutcome.SUCCEEDED),
            failed=self.failed + (outcome is AttemptOutcome.FAILED),
            dropped=self.dropped + (outcome is AttemptOutcome.DROPPED),
        )


class DeliveryInput(Model):
    """Input of DeliveryWorkflow: one ordering key of one endpoint.

    `history_limit` forces continue-as-new after that many history events, for tests; None uses the
    server's suggestion. `queue` and `result` are carried across continue-as-new.
    """

    tenant_id: UUID
    endpoint_id: UUID
    ordering_key: str
    timing: DeliveryTiming = DeliveryTiming()
    history_limit: PositiveInt | None = None
    queue: tuple[DeliveryEntry, ...] = ()
    result: DeliveryResult = DeliveryResult()


class AttemptRequest(Model):
    """One attempt; `next_attempt_at` is when the next is due if it fails, None if never."""

    tenant_id: UUID
    endpoint_id: UUID
    delivery_id: UUID
    next_attempt_at: datetime | None


class AttemptOutcome(StrEnum):
    """Outcome of an attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # attempted again if another attempt is due
    DROPPED = "dropped"  # nothing to send, or no more: delivered before, or its endpoint is gone


class PostponedAttempt(Model):
    """A failed attempt whose endpoint sent `Retry-After`: no attempt before `retry_at` (UTC)."""

    retry_at: datetime


class OutboxRelayInput(Model):
    """Input of the outbox relay, which sends events that were committed but not sent.

    Attributes:
        interval: polling interval of the outbox (s).
        pass_timeout: timeout of one pass (s).
        history_limit: as for a delivery.
    """

    interval: PositiveFloat = 10.0
    pass_timeout: PositiveFloat = 120.0
    history_limit: PositiveInt | None = None


class OutboxRelayPass(Model):
    """Result of one pass over the outbox: the number of tenants with events to send."""

    tenants: NonNegativeInt


class DeliveryQueue:
    """Deliveries in the order of their events; only the first is attempted.

    Args:
        entries: entries left by an earlier run.
        result: counts of an earlier run.
    """

    def __init__(
        self, entries: Iterable[DeliveryEntry] = (), result: DeliveryResult | None = None
    ) -> None:
        self._entries = {entry.delivery_id: entry for entry in entries}
        self._in_progress: UUID | None = None
        self._check_again = False
        self.result = result or DeliveryResult()

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def first(self) -> DeliveryEntry:
        """The delivery to attempt next."""
        return min(self._entries.values(), key=lambda each: (each.position, each.delivery_id))

    def entries(self) -> tuple[DeliveryEntry, ...]:
        """Return all entries, to carry across continue-as-new."""
        return tuple(self._entries.values())

    def report(self) -> str:
        """Return the state of the deliveries, in Markdown."""
        counts = self.result.model_dump()
        done = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        lines = [f"**{len(self._entries)} waiting**" + (f", {done}" if done else "")]
        if self._entries and self.first.attempt:
            due = f"{self.first.due:%Y-%m-%d %H:%M:%S} UTC" if self.first.due else "now"
            lines.append(f"attempt {self.first.attempt + 1} of the first is due {due}")
        return "\n\n".join(lines)

    def add(self, order: DeliveryOrder) -> None:
        """Add a delivery. If it is queued already, only `at_once` has an effect.

        If it is being attempted, the order may have been given before or after its completion, so
        it is checked once more afterwards.
        """
        entry = self._entries.get(order.delivery_id)
        if entry is None:
            self._entries[order.delivery_id] = DeliveryEntry(
                delivery_id=order.delivery_id, position=order.position
            )
        elif order.delivery_id == self._in_progress:
            self._check_again = True
        elif order.at_once:
            scheduled = entry.scheduled or entry.due
            self._entries[order.delivery_id] = replace(entry, due=None, scheduled=scheduled)

    def begin(self) -> DeliveryEntry:
        """Return the first delivery, and mark it as being attempted."""
        entry = self.first
        self._in_progress, self._check_again = entry.delivery_id, False
        return entry

    def conclude(
        self,
        outcome: AttemptOutcome,
        *,
        began: datetime,
        next_attempt_at: datetime | None,
        extra: bool = False,
    ) -> None:
        """Record the outcome of the attempt; a failed one is repeated if another attempt is due.

        `extra` means that the attempt was made early, so that the scheduled one is still due.
        """
        assert self._in_progress is not None, "begin first"  # noqa: S101
        entry = self._entries.pop(self._in_progress)
        if outcome is AttemptOutcome.FAILED and next_attempt_at is not None:
            number = entry.attempt if extra else entry.attempt + 1
            self._entries[entry.delivery_id] = replace(
                entry, attempt=number, began=began, due=next_attempt_at, scheduled=None
            )
        else:
            self.result = self.result.plus(outcome)
            if self._check_again:
                self.add(DeliveryOrder(delivery_id=entry.delivery_id, position=entry.position))
        self._in_progress = None
