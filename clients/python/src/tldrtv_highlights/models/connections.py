"""100ms connections."""

from __future__ import annotations

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class Checks(Model):
    """Which checks are made of every event; `timestamp_tolerance` in seconds, None for any."""

    source: bool
    secret_header: bool
    signature: bool
    sources: tuple[str, ...]
    header_name: str
    timestamp_tolerance: float | None
    trusted_proxies: tuple[str, ...]


class ConnectionSecrets(Model):
    """What the sender must know; shown once."""

    header_name: str
    header_value: str
    signing_secret: str


class Connection(Model):
    """A 100ms workspace whose events are followed; `secrets` only where they were just made."""

    id: str
    name: str
    webhook_url: str
    account_id: str | None
    app_id: str | None
    checks: Checks
    management_access_key: str | None
    game: str | None
    title: str
    previous_secrets_until: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    secrets: ConnectionSecrets | None = None


class InboundEvent(Model):
    """An event that a connection brought, and what came of it."""

    id: str
    type: str
    stream_id: str | None
    outcome: str | None
    detail: str
    is_replay: bool
    attempts: int
    occurred_at: AwareDatetime | None
    received_at: AwareDatetime
    delivered_at: AwareDatetime | None


class InboundEventList(Model):
    """A connection's latest events, the newest first."""

    data: tuple[InboundEvent, ...]
