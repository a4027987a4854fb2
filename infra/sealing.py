"""Secrets that we must be able to use again, encrypted at rest (AES-256-GCM)."""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class BrokenSealError(Exception):
    """What was sealed cannot be opened: with another signing secret, or as another's."""


class Sealer:
    """Seals and opens secrets.

    Args:
        secret: the installation's signing secret, of which the key is derived (HKDF).
        purpose: mixed into the key, so that no purpose opens what another sealed.
    """

    def __init__(self, secret: bytes, *, purpose: str) -> None:
        derivation = HKDF(
            algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"sealing:" + purpose.encode()
        )
        self._cipher = AESGCM(derivation.derive(secret))

    def seal(self, plain: str, *, owner: str) -> bytes:
        """Encrypt a secret; it opens for the same owner only, so that rows cannot be swapped."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain.encode(), owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> str:
        """Decrypt a secret.

        Raises:
            BrokenSealError: it was sealed with another key or for another owner, or was changed.
        """
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, body, owner.encode()).decode()
        except (InvalidTag, ValueError):
            raise BrokenSealError(
                "a stored secret cannot be opened: HIGHLIGHTS_SIGNING_SECRET is not the one that "
                "it was stored with"
            ) from None
