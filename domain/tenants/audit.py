"""Audit log: who changed a tenant's access, rules or data."""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.model import Model


class ActorKind(StrEnum):
    """Kind of actor."""

    API_KEY = "api_key"
    OPERATOR = "operator"  # someone with the `highlights` command and the database
    SYSTEM = "system"


class AuditTarget(StrEnum):
    """Kind of object that was changed."""

    KEY = "key"
    PROFILE_OVERRIDE = "profile_override"
    PROFILE_TASTE = "profile_taste"
    BRANDING = "branding"
    EMBED_POLICY = "embed_policy"
    CONNECTION = "connection"
    WEBHOOK_ENDPOINT = "webhook_endpoint"
    TENANT = "tenant"
    STREAM = "stream"
    HIGHLIGHT = "highlight"
    CLIP = "clip"
    EXPORT = "export"
    EXPORT_BATCH = "export_batch"


class AuditAction(StrEnum):
    """Audited action; the part before the dot is the target."""

    KEY_CREATED = "key.created"
    KEY_UPDATED = "key.updated"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    OVERRIDE_PUT = "profile_override.put"
    OVERRIDE_DELETED = "profile_override.deleted"
    TASTE_ENABLED = "profile_taste.enabled"
    TASTE_DISABLED = "profile_taste.disabled"
    TASTE_RESET = "profile_taste.reset"
    BRANDING_PUT = "branding.put"
    BRANDING_DELETED = "branding.deleted"
    EMBED_POLICY_PUT = "embed_policy.put"
    CONNECTION_CREATED = "connection.created"
    CONNECTION_UPDATED = "connection.updated"
    CONNECTION_ROTATED = "connection.rotated"
    CONNECTION_DELETED = "connection.deleted"
    ENDPOINT_CREATED = "webhook_endpoint.created"
    ENDPOINT_UPDATED = "webhook_endpoint.updated"
    ENDPOINT_ROTATED = "webhook_endpoint.rotated"
    ENDPOINT_ENABLED = "webhook_endpoint.enabled"
    ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    ENDPOINT_DELETED = "webhook_endpoint.deleted"
    TENANT_PLAN_SET = "tenant.plan_set"
    TENANT_POLICY_PUT = "tenant.policy_put"
    STREAM_UPDATED = "stream.updated"
    STREAM_DELETED = "stream.deleted"
    STREAM_HELD = "stream.held"
    STREAM_RELEASED = "stream.released"
    HIGHLIGHT_HELD = "highlight.held"
    HIGHLIGHT_RELEASED = "highlight.released"
    HIGHLIGHT_APPROVED = "highlight.approved"
    HIGHLIGHT_REJECTED = "highlight.rejected"
    HIGHLIGHT_REVIEW_EXPIRED = "highlight.review_expired"
    CLIP_DELETED = "clip.deleted"
    EXPORT_DELETED = "export.deleted"
    EXPORT_BATCH_DELETED = "export_batch.deleted"

    @property
    def target(self) -> AuditTarget:
        """Kind of object that the action changes."""
        return AuditTarget(self.value.partition(".")[0])


class Actor(Model):
    """Who makes a change, in which request and from which address, if known."""

    kind: ActorKind
    id: UUID | None = None
    request_id: str | None = None
    client_address: str | None = None


OPERATOR: Final = Actor(kind=ActorKind.OPERATOR)
SYSTEM: Final = Actor(kind=ActorKind.SYSTEM)
