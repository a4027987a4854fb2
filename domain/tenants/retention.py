"""Retention of records, and the messages of MaintenanceWorkflow."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from domain.model import Model

DAY: Final = 86_400.0
SHORTEST_IDEMPOTENCY: Final = DAY
"""Seconds for which the API promises to remember an `Idempotency-Key`."""
SHORTEST_INBOUND: Final = 7 * DAY
"""Seconds for which 100ms's events are remembered at least: days longer than any of its streams."""
SHORTEST_AUDIT: Final = 90 * DAY
"""Seconds for which the database itself keeps audit entries, whatever the application asks."""


class RecordKind(StrEnum):
    """Kinds of records that expire."""

    IDEMPOTENCY_KEYS = "idempotency_keys"
    USAGE_EVENTS = "usage_events"  # their hourly sums stay
    EVENTS = "events"  # the outbox: dispatched, or too old
    HIDDEN_HIGHLIGHTS = "hidden_highlights"  # held or rejected: never shown
    FEED_EVENTS = "feed_events"  # what tenants fed to their streams; its highlights stay
    INBOUND_EVENTS = "inbound_events"  # what 100ms sent, once its effect is done or given up
    BEAMS = "beams"  # those that are over, or were never seen to begin
    CLOSED_SESSIONS = "closed_sessions"
    AUDIT_LOG = "audit_log"


class RetentionPolicy(Model):
    """Retention of each kind of record, in seconds.

    Usage events must outlive every retry that could write them again, or it would count twice. So
    must inbound events: 100ms could send one again. Beams and closed sessions outlive these, since
    a start that arrives after the end must find the end.
    """

    idempotency_keys: float = Field(default=2 * DAY, ge=SHORTEST_IDEMPOTENCY)
    usage_events: float = Field(default=90 * DAY, ge=DAY)
    events: float = Field(default=30 * DAY, ge=DAY)
    hidden_highlights: float = Field(default=30 * DAY, ge=DAY)
    feed_events: float = Field(default=400 * DAY, ge=DAY)
    inbound_events: float = Field(default=30 * DAY, ge=SHORTEST_INBOUND)
    beams: float = Field(default=90 * DAY, ge=SHORTEST_INBOUND)
    closed_sessions: float = Field(default=90 * DAY, ge=SHORTEST_INBOUND)
    audit_log: float = Field(default=400 * DAY, ge=SHORTEST_AUDIT)

    def age_of(self, kind: RecordKind) -> float:
        """Return the retention (s) of a kind of record."""
        age: float = getattr(self, kind.value)
        return age


class ExpireRecordsInput(Model):
    """Request to delete expired records, `batch` rows per transaction."""

    policy: RetentionPolicy = RetentionPolicy()
    batch: PositiveInt = 1000


class ExpireRecordsResult(Model):
    """Number of deleted records of each kind, over all tenants."""

    tenants: NonNegativeInt = 0
    deleted: dict[RecordKind, NonNegativeInt] = Field(default_factory=dict)


class MaintenanceInput(Model):
    """Input of MaintenanceWorkflow; times in seconds."""

    expire: ExpireRecordsInput = ExpireRecordsInput()
    timeout: PositiveFloat = 3600.0
    heartbeat_timeout: PositiveFloat = 15.0
    retry_interval: PositiveFloat = 10.0
