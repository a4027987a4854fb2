"""What the workflows around inbound events are started with, and what they answer."""

from __future__ import annotations

from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.model import Model


class RelayInput(Model):
    """One round of delivering what could not be delivered when it came; times in seconds.

    Attributes:
        min_age: leaves alone what the API may be delivering at this moment.
        batch: events of a tenant read at a time.
        timeout: longest run of one attempt.
        heartbeat_timeout: after this long without a sign of life another worker takes over.
        retry_interval: wait before the first retry.
        attempts: of one round; the schedule's next round follows anyway.
    """

    min_age: NonNegativeFloat = 3.0
    batch: PositiveInt = 500
    timeout: PositiveFloat = 600.0
    heartbeat_timeout: PositiveFloat = 30.0
    retry_interval: PositiveFloat = 1.0
    attempts: PositiveInt = 3


class RelayReport(Model):
    """What one round of the relay did."""

    tenants: NonNegativeInt = 0
    delivered: NonNegativeInt = 0
    left: NonNegativeInt = 0


class ConnectionRef(Model):
    """A connection whose live streams 100ms can be asked for."""

    tenant_id: UUID
    connection_id: UUID


class ConnectionList(Model):
    """The connections to reconcile."""

    connections: tuple[ConnectionRef, ...] = ()


class ReconcileInput(Model):
    """One round of asking 100ms what is live; times in seconds.

    Attributes:
        timeout: longest attempt for one connection.
        retry_interval: wait before its first retry, unless 100ms names a wait itself.
        attempts: for one connection; the schedule's next round follows anyway.
        at_a_time: connections asked for together.
    """

    timeout: PositiveFloat = 60.0
    retry_interval: PositiveFloat = 2.0
    attempts: PositiveInt = 4
    at_a_time: PositiveInt = 4


class ReconcileReport(Model):
    """What was repaired; `failed` counts connections that 100ms gave no list for."""

    connections: NonNegativeInt = 0
    started: NonNegativeInt = 0
    ended: NonNegativeInt = 0
    failed: NonNegativeInt = 0

    def plus(self, other: ReconcileReport) -> ReconcileReport:
        """Return both together."""
        return ReconcileReport(
            connections=self.connections + other.connections,
            started=self.started + other.started,
            ended=self.ended + other.ended,
            failed=self.failed + other.failed,
        )
