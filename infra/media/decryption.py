"""AES-128 as HLS has it: whole segments in CBC mode with PKCS7 padding (RFC 8216, 4.3.2.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

KEY_BYTES: Final = 16

_BLOCK_BITS: Final = 128
_CHUNK: Final = 1 << 18


class DecryptionError(Exception):
    """The data was not encrypted with this key, or is cut off."""


def sequence_vector(sequence: int) -> bytes:
    """Return the initialization vector of a segment whose key names none: its number."""
    return sequence.to_bytes(KEY_BYTES, "big")


def decrypt(data: bytes, *, key: bytes, vector: bytes) -> bytes:
    """Return the plain bytes.

    Raises:
        DecryptionError: they cannot be had with this key.
    """
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    try:
        padded = decryptor.update(data) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise DecryptionError("it cannot be decrypted with its key") from None


def decrypt_file(encrypted: Path, target: Path, *, key: bytes, vector: bytes, prefix: bytes) -> int:
    """Write `prefix` and then the plain bytes of a file to another; return the bytes written.

    Raises:
        DecryptionError: they cannot be had with this key.
    """
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    try:
        with encrypted.open("rb") as source, target.open("wb") as output:
            written = output.write(prefix)
            while chunk := source.read(_CHUNK):
                written += output.write(unpadder.update(decryptor.update(chunk)))
            written += output.write(unpadder.update(decryptor.finalize()))
            written += output.write(unpadder.finalize())
    except ValueError:
        raise DecryptionError("it cannot be decrypted with its key") from None
    return written
