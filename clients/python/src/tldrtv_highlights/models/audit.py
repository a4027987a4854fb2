"""The audit log."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class AuditActor(Model):
    """Who made a change: the API key, where it was one."""

    kind: str
    id: str | None


class AuditTarget(Model):
    """What was changed."""

    kind: str
    id: str


class AuditEntry(Model):
    """One change; the form of `details` depends on the action."""

    id: str
    at: AwareDatetime
    actor: AuditActor
    action: str
    target: AuditTarget
    details: dict[str, Any]
    request_id: str | None
    client_address: str | None
