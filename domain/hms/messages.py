"""Inputs and results of the workflows and activities that handle inbound events."""

from __future__ import annotations

from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.model import Model


class SessionRef(Model):
    """The events of a connection that are processed in order: those of one 100ms session.

    Attributes:
        partition: name of the order, such as `session:<id>`; `domain.hms.effects` makes it.
    """

    tenant_id: UUID
    connection_id: UUID
    partition: str


class SessionTiming(Model):
    """How a SessionWorkflow waits; times in seconds.

    Attributes:
        idle_timeout: without events for this long, the workflow ends.
        timeout: longest attempt to process a batch of events.
        heartbeat_timeout: after this long without a heartbeat another worker takes over.
        retry_interval: wait before the first retry of a failed attempt; doubles each time.
        max_retry_interval: longest wait between two attempts.
    """

    idle_timeout: PositiveFloat = 86_400.0
    timeout: PositiveFloat = 60.0
    heartbeat_timeout: PositiveFloat = 10.0
    retry_interval: PositiveFloat = 1.0
    max_retry_interval: PositiveFloat = 15.0


class SessionInput(Model):
    """Start of a SessionWorkflow.

    Attributes:
        ref: whose events it processes.
        timing: its waits.
        history_limit: events of its history after which it continues as new; for tests.
        processed: events that earlier runs have processed.
    """

    ref: SessionRef
    timing: SessionTiming = SessionTiming()
    history_limit: PositiveInt | None = None
    processed: NonNegativeInt = 0


class ProcessedEvents(Model):
    """Result of one batch: events processed, and whether more of the session were pending."""

    processed: NonNegativeInt
    has_more: bool = False


class SessionResult(Model):
    """Result of a SessionWorkflow: how many events it processed."""

    processed: NonNegativeInt


class RelayInput(Model):
    """Dispatch what was stored and not dispatched, `passes` times; times in seconds.

    Attributes:
        interval: between two passes.
        passes: in one execution of the workflow; its schedule starts the next execution.
        min_age: leaves alone the events that the API may be dispatching at this moment.
        batch: sessions of a tenant dispatched in one pass.
        timeout: longest run of one attempt.
        heartbeat_timeout: after this long without a heartbeat another worker takes over.
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
    """Result of relaying inbound events.

    Attributes:
        tenants: tenants with pending events.
        delivered: sessions whose workflow was signaled.
        left: sessions whose workflow could not be signaled in the last pass.
    """

    tenants: NonNegativeInt = 0
    delivered: NonNegativeInt = 0
    left: NonNegativeInt = 0

    def then(self, later: RelayReport) -> RelayReport:
        """Return the sum of this and a later pass; `left` is that of the later one."""
        return RelayReport(
            tenants=max(self.tenants, later.tenants),
            delivered=self.delivered + later.delivered,
            left=later.left,
        )


class ConnectionRef(Model):
    """A connection whose live streams can be listed."""

    tenant_id: UUID
    connection_id: UUID


class ConnectionList(Model):
    """The connections to reconcile."""

    connections: tuple[ConnectionRef, ...] = ()


class ReconcileInput(Model):
    """Reconcile all connections with 100ms's list, `passes` times; times in seconds.

    Attributes:
        interval: between two passes.
        passes: in one execution of the workflow; its schedule starts the next execution.
        timeout: longest attempt for one connection.
        heartbeat_timeout: after this long without a heartbeat another worker takes over.
        retry_interval: wait before its first retry, unless 100ms names a wait itself.
        attempts: for one connection; the next pass follows anyway.
        at_a_time: connections reconciled concurrently.
    """

    interval: PositiveFloat = 60.0
    passes: PositiveInt = 1
    timeout: PositiveFloat = 60.0
    heartbeat_timeout: PositiveFloat = 10.0
    retry_interval: PositiveFloat = 2.0
    attempts: PositiveInt = 4
    at_a_time: PositiveInt = 4


class ReconcileReport(Model):
    """Repairs made; `failed` counts connections whose list could not be read."""

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
