"""Encryption of what Temporal stores: arguments, results, heartbeats, memos and failures.

Not encrypted, because the server reads it: workflow ids, types, task queues, search attributes, and
the types of failures. None of them holds a secret or a tenant's content except the search attribute
`StreamTitle` (docs/deploy.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from infra.encryption import SecretCipher, SecretDecryptionError

ENCODING: Final = b"binary/encrypted"
_KEY_ID: Final = "encryption-key-id"
_PURPOSE: Final = "temporal-payload"


class PayloadDecryptionError(ValueError):
    """A payload cannot be decrypted: its key is not configured, or it was altered."""


class PayloadEncryption(PayloadCodec):
    """Encrypts payloads with AES-256-GCM; leaves payloads that are not encrypted readable.

    A nonce is 96 random bits, so a key is good for 2^32 payloads (NIST SP 800-38D, 8.3).

    Args:
        keys: secrets by id. The first encrypts, all decrypt.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._ciphers = {
            key_id: SecretCipher(secret.encode(), purpose=_PURPOSE)
            for key_id, secret in keys.items()
        }
        self._current = next(iter(keys))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return the payloads encrypted, each with its metadata."""
        return [self._encrypt(each) for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return the payloads in plain text.

        Raises:
            PayloadDecryptionError: the key of one is not configured, or one was altered.
        """
        return [self._decrypt(each) for each in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        return Payload(
            metadata={"encoding": ENCODING, _KEY_ID: self._current.encode()},
            data=self._ciphers[self._current].encrypt(
                payload.SerializeToString(), owner=self._current
            ),
        )

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(_KEY_ID, b"").decode(errors="replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise PayloadDecryptionError(
                f"The payload is encrypted with the key {key_id!r}, which HIGHLIGHTS_TEMPORAL_KEYS "
                "does not have. Add it after the first key."
            )
        try:
            return Payload.FromString(cipher.decrypt(payload.data, owner=key_id))
        except SecretDecryptionError as error:
            raise PayloadDecryptionError(
                f"The payload was altered, or HIGHLIGHTS_TEMPORAL_KEYS has another secret for the "
                f"key {key_id!r} than it was encrypted with."
            ) from error
