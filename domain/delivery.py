"""Deliveries as their workflow sees them: what it is started with, told and remembers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.delivery_schedule import JITTER, OFFSETS
from domain.model import Model


class DeliveryTiming(Model):
    """Every wait of a delivery, in seconds.

    Attributes:
        offsets: from the first attempt to each, ascending; their number is that of the attempts.
        jitter: the greatest share by which a wait is lengthened.
        attempt_timeout: longest run of one attempt, records included.
        heartbeat_timeout: after this long without a heartbeat another worker takes over.
        retry_interval: wait before an attempt that could not be made or recorded, our database
            being away, is made again.
    """

    offsets: tuple[NonNegativeFloat, ...] = Field(default=OFFSETS, min_length=1)
    jitter: NonNegativeFloat = JITTER
    attempt_timeout: PositiveFloat = 60.0
    heartbeat_timeout: PositiveFloat = 10.0
    retry_interval: PositiveFloat = 1.0


class DeliveryOrder(Model):
    """Something to deliver. `position` is its event's: the lowest is delivered first.

    `at_once` cuts short the wait for its next attempt.
    """

    delivery_id: UUID
    position: NonNegativeInt
    at_once: bool = False


class DeliveryEntry(Model):
    """A delivery in the queue.

    `attempt` is the number (from 0) of its next attempt, which is due at `due`; None is now.
    `began` is when the first was made. `scheduled` is when the attempt was due before its wait was
    cut short: an extra attempt that fails takes none from the schedule.
    """

    delivery_id: UUID
    position: NonNegativeInt
    attempt: NonNegativeInt = 0
    began: datetime | None = None
    due: datetime | None = None
    scheduled: datetime | None = None


class DeliveryResult(Model):
    """How many deliveries a workflow has finished."""

    succeeded: NonNegativeInt = 0
    failed: NonNegativeInt = 0
    dropped: NonNegativeInt = 0


class DeliveryInput(Model):
    """Start of the deliveries of one ordering key to one endpoint.

    `history_limit` forces continue-as-new after that many history events, for tests; None leaves
    it to the server's suggestion. `queue` and `result` are what a run hands to the next.
    """

    tenant_id: UUID
    endpoint_id: UUID
    ordering_key: str
    timing: DeliveryTiming = DeliveryTiming()
    history_limit: PositiveInt | None = None
    queue: tuple[DeliveryEntry, ...] = ()
    result: DeliveryResult = DeliveryResult()


class AttemptRequest(Model):
    """One attempt; `next_attempt_at` is when the next one is due if it fails, None if never."""

    tenant_id: UUID
    endpoint_id: UUID
    delivery_id: UUID
    next_attempt_at: datetime | None


class AttemptOutcome(StrEnum):
    """What came of an attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # attempted again if another attempt is due
    DROPPED = "dropped"  # nothing to send, or no more: delivered before, or its endpoint is gone


class PostponedAttempt(Model):
    """A failed attempt whose endpoint asked for a pause: no attempt before `retry_at` (UTC)."""

    retry_at: datetime


class OutboxRelayInput(Model):
    """Start of the relay, which sends what was committed but not sent.

    Attributes:
        interval: seconds between two looks at the outbox.
        pass_timeout: seconds that one look may take.
        history_limit: as for a delivery.
    """

    interval: PositiveFloat = 10.0
    pass_timeout: PositiveFloat = 120.0
    history_limit: PositiveInt | None = None


class OutboxRelayPass(Model):
    """What one look at the outbox found: how many tenants had something to send."""

    tenants: NonNegativeInt
