"""Secrets that must be known in plain text, sealed at rest (AES-256-GCM).

A stolen table opens nothing without the installation's signing secret, and a sealed value copied to
another row does not open either, since what it belongs to is sealed with it.
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


class SealBrokenError(ValueError):
    """A sealed value was changed, belongs to something else, or was sealed under another key."""


class SecretBox:
    """Seals and opens the secrets of one purpose.

    Args:
        secret: the installation's signing secret, of which the key is derived (HKDF, RFC 5869).
        purpose: mixed into the key, so that what is sealed for another purpose does not open.
    """

    def __init__(self, secret: bytes, *, purpose: str) -> None:
        derivation = HKDF(
            algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=f"secret-box:{purpose}".encode()
        )
        self._cipher = AESGCM(derivation.derive(secret))

    def seal(self, value: bytes, *, owner: str) -> bytes:
        """Return `value` sealed for its owner (such as a row's id)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> bytes:
        """Return what was sealed.

        Raises:
            SealBrokenError: it was not sealed by us for this owner.
        """
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, text, owner.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError(
                "a stored secret cannot be opened: HIGHLIGHTS_SIGNING_SECRET is not the one that "
                "it was stored with"
            ) from error


def new_secret(prefix: str) -> str:
    """Return a new random secret in printable form, 256 bits of it."""
    return f"{prefix}{secrets.token_urlsafe(_SECRET_BYTES)}"
