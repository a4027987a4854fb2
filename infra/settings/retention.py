"""How long records are kept."""

from __future__ import annotations

from typing import Final

from pydantic import Field, PositiveFloat

from domain.expiry import DAY, SHORTEST_AUDIT, SHORTEST_INBOUND, RetentionPolicy
from infra.settings.section import SettingsSection

_POLICY: Final = RetentionPolicy()


class RetentionSettings(SettingsSection):
    """How long records are kept."""

    heading = "Retention"

    retention_idempotency_keys: float = Field(
        default=_POLICY.idempotency_keys / DAY,
        ge=1,
        description="Days for which an `Idempotency-Key` is remembered; the API promises one.",
    )
    retention_usage_events: float = Field(
        default=_POLICY.usage_events / DAY,
        ge=1,
        description="Days for which single usage events are kept, so that a retry within them "
        "counts once. Their hourly sums stay.",
    )
    retention_events: float = Field(
        default=_POLICY.events / DAY,
        ge=1,
        description="Days for which events are kept, and can be delivered or replayed.",
    )
    retention_hidden_highlights: float = Field(
        default=_POLICY.hidden_highlights / DAY,
        ge=1,
        description="Days for which highlights that were never shown (held, rejected) are kept.",
    )
    retention_inbound_events: float = Field(
        default=_POLICY.inbound_events / DAY,
        ge=SHORTEST_INBOUND / DAY,
        description="Days for which 100ms's events are kept once they are done; one that came "
        "again later would be taken for new.",
    )
    retention_beams: float = Field(
        default=_POLICY.beams / DAY,
        ge=SHORTEST_INBOUND / DAY,
        description="Days for which a beam of 100ms is remembered after its end; at least as long "
        "as events.",
    )
    retention_closed_sessions: float = Field(
        default=_POLICY.closed_sessions / DAY,
        ge=SHORTEST_INBOUND / DAY,
        description="Days for which a closed session of 100ms is remembered; at least as long as "
        "events.",
    )
    retention_audit_log: float = Field(
        default=_POLICY.audit_log / DAY,
        ge=SHORTEST_AUDIT / DAY,
        description="Days for which the audit log is kept; the database refuses to delete younger "
        "entries than 90 days.",
    )
    maintenance_interval: PositiveFloat = Field(
        default=3600.0, description="Seconds between two rounds that delete old records."
    )

    def retention_policy(self) -> RetentionPolicy:
        """The policy as maintenance takes it."""
        return RetentionPolicy(
            idempotency_keys=self.retention_idempotency_keys * DAY,
            usage_events=self.retention_usage_events * DAY,
            events=self.retention_events * DAY,
            hidden_highlights=self.retention_hidden_highlights * DAY,
            inbound_events=self.retention_inbound_events * DAY,
            beams=self.retention_beams * DAY,
            closed_sessions=self.retention_closed_sessions * DAY,
            audit_log=self.retention_audit_log * DAY,
        )
