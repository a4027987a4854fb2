"""Encryption at rest of secrets that are needed in plain text (AES-256-GCM).

Decryption needs the installation's signing secret. The owner of a value is authenticated with it,
so that a value copied to another row cannot be decrypted.
"""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

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
