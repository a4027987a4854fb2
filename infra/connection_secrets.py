"""The secrets of a 100ms connection: made, kept, compared and used."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from domain.hms.admission import Checks, Secrets
from infra.db.tables import Connection
from infra.encryption import SecretCipher, new_secret

OVERLAP: Final = timedelta(hours=24)
"""For how long the secrets before a rotation stay good: time to change 100ms's dashboard."""


@dataclass(frozen=True, repr=False)
class PlainSecrets:
    """What 100ms, or a relay of its events, must send: shown once, never logged."""

    header: str
    signing: str


@dataclass(frozen=True, repr=False)
class ManagementKey:
    """What management tokens of 100ms are made from."""

    access_key: str
    secret: bytes


class ConnectionSecrets:
    """Seals, opens and compares the secrets of connections.

    Args:
        secret: the installation's signing secret.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = SecretCipher(secret, purpose="connection")

    def generate(self) -> PlainSecrets:
        """Return new secrets."""
        return PlainSecrets(header=new_secret("hms_"), signing=new_secret("hmss_"))

    def hash_header(self, value: str) -> bytes:
        """Return what is stored of a secret header's value."""
        message = b"connection-header:" + value.encode(errors="replace")
        return hmac.new(self._secret, message, hashlib.sha256).digest()

    def encrypt(self, value: str, *, connection_id: UUID) -> bytes:
        """Return a secret as it is stored with a connection."""
        return self._cipher.encrypt(value.encode(), owner=str(connection_id))

    def stored(self, plain: PlainSecrets, *, connection_id: UUID) -> dict[str, bytes]:
        """Return the columns in which a connection keeps its secrets."""
        return {
            "header_hash": self.hash_header(plain.header),
            "signing_secret": self.encrypt(plain.signing, connection_id=connection_id),
        }

    def accepted(self, connection: Connection, *, now: datetime | None = None) -> Secrets:
        """Return what requests are compared with; those before a rotation while they are good.

        Raises:
            SecretDecryptionError: the installation's signing secret is another than it was.
        """
        until = connection.previous_until
        both = until is not None and until > (now or datetime.now(UTC))
        hashes = [connection.header_hash, connection.header_hash_previous if both else None]
        sealed: list[bytes | None] = []
        if Checks.model_validate(connection.checks).signature:
            sealed = [
                connection.signing_secret,
                connection.signing_secret_previous if both else None,
            ]
        return Secrets(
            header_hashes=tuple(each for each in hashes if each is not None),
            signing_secrets=tuple(
                self._cipher.decrypt(each, owner=str(connection.id))
                for each in sealed
                if each is not None
            ),
        )

    def management_key(self, connection: Connection) -> ManagementKey | None:
        """Return what tokens for a connection's workspace are made from; None without it.

        Raises:
            SecretDecryptionError: the installation's signing secret is another than it was.
        """
        if connection.management_access_key is None or connection.management_secret is None:
            return None
        secret = self._cipher.decrypt(connection.management_secret, owner=str(connection.id))
        return ManagementKey(access_key=connection.management_access_key, secret=secret)
