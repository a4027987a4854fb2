"""Webhook messages: the JSON body of an event, and its Standard Webhooks signatures."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from standardwebhooks import Webhook

from domain.webhooks.events import PAYLOADS, VERSION, ClipPayload, Event
from infra.encryption import SecretCipher
from infra.storage.signed_urls import ClipLinks


def message_of(event: Event, links: ClipLinks) -> str:
    """Return the body of a webhook, or of a message to a broker: the event as JSON.

    Links to clips are signed anew, so that they work for as long as they promise, however late
    the message is.
    """
    document = {
        "id": str(event.id),
        "type": event.type.value,
        "version": VERSION,
        "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
        "data": _with_links(event, links),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _with_links(event: Event, links: ClipLinks) -> dict[str, Any]:
    if PAYLOADS[event.type] is not ClipPayload:
        return event.data
    signed = {
        name: links.sign(event.data[name], tenant_id=event.tenant_id)
        for name in ("url", "thumbnail_url")
        if event.data.get(name)
    }
    return event.data | signed


_SECRET_BYTES: Final = 32  # the specification asks for 24 to 64


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(
    body: str, *, message_id: UUID, timestamp: datetime, secrets: Iterable[str]
) -> dict[str, str]:
    """Return the headers by which a receiver recognises and verifies a message.

    Args:
        body: exactly as it is sent.
        message_id: the event's; the same at each attempt.
        timestamp: of the attempt, in UTC.
        secrets: that it is signed with; during a rotation there are two.
    """
    signatures = [
        Webhook(secret).sign(msg_id=str(message_id), timestamp=timestamp, data=body)
        for secret in secrets
    ]
    return {
        "webhook-id": str(message_id),
        "webhook-timestamp": str(int(timestamp.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class EndpointSecrets:
    """The secrets of endpoints, as they are stored.

    Args:
        signing_secret: the installation's.
    """

    def __init__(self, signing_secret: bytes) -> None:
        self._cipher = SecretCipher(signing_secret, purpose="webhook-secret")

    def encrypt(self, secret: str, *, tenant_id: UUID, endpoint_id: UUID) -> bytes:
        """Return what is stored of an endpoint's secret."""
        return self._cipher.encrypt(secret.encode(), owner=f"{tenant_id}/{endpoint_id}")

    def decrypt(self, sealed: bytes, *, tenant_id: UUID, endpoint_id: UUID) -> str:
        """Return an endpoint's secret.

        Raises:
            SecretDecryptionError: it is not this endpoint's, or the signing secret has changed.
        """
        return self._cipher.decrypt(sealed, owner=f"{tenant_id}/{endpoint_id}").decode()
