"""Encryption at rest of secrets that are needed in plain text (AES-256-GCM).

Decryption needs the installation's signing secret. The owner of a value is authenticated with it,
so that a value copied to another row cannot be decrypted.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.hms.admission import Checks, Secrets
from infra.db.tables import Connection

_KEY_BYTES: Final = 32


_NONCE_BYTES: Final = 12
"""96 bits, as NIST SP 800-38D recommends; random, for far fewer than 2^32 values of one key."""


_SECRET_BYTES: Final = 32


class SecretDecryptionError(ValueError):
    """A value was altered, belongs to another owner, or was encrypted with another key."""


class SecretCipher:
    """Encrypts and decrypts the secrets of one purpose.

    Args:
        secret: the installation's signing secret, from which the key is derived (HKDF, RFC 5869).
        purpose: part of the key derivation, so that purposes cannot decrypt each other's values.
    """

    def __init__(self, secret: bytes, *, purpose: str) -> None:
        derivation = HKDF(
            algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=f"secret-box:{purpose}".encode()
        )
        self._cipher = AESGCM(derivation.derive(secret))

    def encrypt(self, value: bytes, *, owner: str) -> bytes:
        """Return `value` encrypted for its owner (such as a row's id): nonce and ciphertext."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, owner.encode())

    def decrypt(self, encrypted: bytes, *, owner: str) -> bytes:
        """Return the plain text of an encrypted value.

        Raises:
            SecretDecryptionError: the value was not encrypted with this key for this owner.
        """
        nonce, text = encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, text, owner.encode())
        except (InvalidTag, ValueError) as error:
            raise SecretDecryptionError(
                "a stored secret cannot be opened: HIGHLIGHTS_SIGNING_SECRET is not the one that "
                "it was stored with"
            ) from error


def new_secret(prefix: str) -> str:
    """Return a new random secret in printable form, 256 bits of it."""
    return f"{prefix}{secrets.token_urlsafe(_SECRET_BYTES)}"


OVERLAP: Final = timedelta(hours=24)
"""How long the previous secrets stay valid after a rotation: time to change 100ms's dashboard."""


@dataclass(frozen=True, repr=False)
class PlainSecrets:
    """What 100ms, or a relay of its events, must send: shown once, never logged."""

    header: str
    signing: str


@dataclass(frozen=True, repr=False)
class ManagementKey:
    """The credentials for management tokens of 100ms."""

    access_key: str
    secret: bytes


class ConnectionSecrets:
    """Encrypts, decrypts and compares the secrets of connections.

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
        """Return what requests are compared with, including previous secrets while they are valid.

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
