"""Signatures as Standard Webhooks has them, by the project's own library."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from standardwebhooks import Webhook

from infra.encryption import SecretBox

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
        self._box = SecretBox(signing_secret, purpose="webhook-secret")

    def seal(self, secret: str, *, tenant_id: UUID, endpoint_id: UUID) -> bytes:
        """Return what is stored of an endpoint's secret."""
        return self._box.seal(secret.encode(), owner=f"{tenant_id}/{endpoint_id}")

    def open(self, sealed: bytes, *, tenant_id: UUID, endpoint_id: UUID) -> str:
        """Return an endpoint's secret.

        Raises:
            SealBrokenError: it is not this endpoint's, or the signing secret has changed.
        """
        return self._box.open(sealed, owner=f"{tenant_id}/{endpoint_id}").decode()
