"""What the workflows around inbound events are started with, and what they answer."""

from __future__ import annotations

from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.model import Model


class RelayInput(Model):
    """Deliver what could not be delivered when it came, `passes` times; times in seconds.

    Attributes:
        interval: between two passes.
        passes: in one execution of the workflow; its schedule starts the next execution.
        min_age: leaves alone what the API may be delivering at this moment.
        batch: events of a tenant read at a time.
        timeout: longest run of one attempt.
        heartbeat_timeout: after this long without a sign of life another worker takes over.
        retry_interval: wait before the first retry.
        attempts: of one pass; the next pass follows anyway.
    """

    interval: PositiveFloat = 10.0
    passes: PositiveInt = 1
    min_age: NonNegativeFloat = 3.0
    batch: PositiveInt = 500
    timeout: PositiveFloat = 600.0
    heartbeat_timeout: PositiveFloat = 10.0
    retry_interval: PositiveFloat = 1.0
    attempts: PositiveInt = 3


class RelayReport(Model):
    """What one round of the relay did."""

    tenants: NonNegativeInt = 0
    delivered: NonNegativeInt = 0
    left: NonNegativeInt = 0

    def then(self, later: RelayReport) -> RelayReport:
        """Return this and a later pass together; what is left is what the later one left."""
        return RelayReport(
            tenants=max(self.tenants, later.tenants),
            delivered=self.delivered + later.delivered,
            left=later.left,
        )


class ConnectionRef(Model):
    """A connection whose live streams 100ms can be asked for."""

    tenant_id: UUID
    connection_id: UUID


class ConnectionList(Model):
    """The connections to reconcile."""

    connections: tuple[ConnectionRef, ...] = ()


class ReconcileInput(Model):
    """Ask 100ms what is live, `passes` times; times in seconds.

    Attributes:
        interval: between two passes.
        passes: in one execution of the workflow; its schedule starts the next execution.
        timeout: longest attempt for one connection.
        heartbeat_timeout: after this long without a heartbeat another worker takes over.
        retry_interval: wait before its first retry, unless 100ms names a wait itself.
        attempts: for one connection; the next pass follows anyway.
        at_a_time: connections asked for together.
    """

    interval: PositiveFloat = 60.0
    passes: PositiveInt = 1
    timeout: PositiveFloat = 60.0
    heartbeat_timeout: PositiveFloat = 10.0
    retry_interval: PositiveFloat = 2.0
    attempts: PositiveInt = 4
    at_a_time: PositiveInt = 4


class ReconcileReport(Model):
    """What was repaired; `failed` counts connections that 100ms gave no list for."""

    connections: NonNegativeInt = 0
    started: NonNegativeInt = 0
    ended: NonNegativeInt = 0
    failed: NonNegativeInt = 0

    def then(self, later: ReconcileReport) -> ReconcileReport:
        """Return this and a later pass together; its connections are those of the later one."""
        return ReconcileReport(
            connections=later.connections,
            started=self.started + later.started,
            ended=self.ended + later.ended,
            failed=later.failed,
        )

    def plus(self, other: ReconcileReport) -> ReconcileReport:
        """Return both together."""
        return ReconcileReport(
            connections=self.connections + other.connections,
            started=self.started + other.started,
            ended=self.ended + other.ended,
            failed=self.failed + other.failed,
        )
