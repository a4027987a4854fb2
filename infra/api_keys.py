"""API keys: `hl_live_` or `hl_test_`, 32 random characters, and a checksum of 6.

The checksum (CRC32 in base62, as in GitHub's tokens) detects a mistyped or invented key without a
database query, and lets secret scanners recognize ours. Only a keyed hash is stored
(HMAC-SHA256), so that a stolen table grants no access.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH: Final = 32  # log2(62 ** 32) = 190 bits
_CHECKSUM_LENGTH: Final = 6  # 62 ** 6 > 2 ** 32
_HINT_LENGTH: Final = 4


class KeyMode(StrEnum):
    """What a key is for: real use, or development and tests."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, repr=False)
class PlainKey:
    """A key in plain text: shown to its owner once, and never logged."""

    value: str

    def __repr__(self) -> str:
        """Show no more than what may be logged."""
        return f"PlainKey({self.hint})"

    @property
    def hint(self) -> str:
        """The mode and the last characters, by which its owner recognises it."""
        prefix = self.value[: self.value.rindex("_") + 1]
        return f"{prefix}…{self.value[-_HINT_LENGTH:]}"


def generate(mode: KeyMode) -> PlainKey:
    """Return a new key."""
    body = f"hl_{mode}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return PlainKey(body + _checksum(body))


def parse(text: str) -> PlainKey | None:
    """Return the key that `text` is, or None when its form or checksum is wrong."""
    prefixes = tuple(f"hl_{mode}_" for mode in KeyMode)
    if not text.startswith(prefixes):
        return None
    random = text[text.rindex("_") + 1 :]
    if len(random) != _RANDOM_LENGTH + _CHECKSUM_LENGTH or not set(random) <= set(_ALPHABET):
        return None
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    return PlainKey(text) if hmac.compare_digest(_checksum(body), checksum) else None


def hash_key(key: PlainKey, *, secret: bytes) -> bytes:
    """Return what is stored of a key: 32 bytes.

    Args:
        key: the key.
        secret: the installation's signing secret; the purpose is mixed in, so that a signature
            made for another purpose is never a key's hash.
    """
    return hmac.new(secret, b"api-key:" + key.value.encode(), hashlib.sha256).digest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
