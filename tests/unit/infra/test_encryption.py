"""Sealed secrets open for their owner, under the secret they were sealed with, and unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.encryption import SecretCipher, SecretDecryptionError, new_secret

CIPHER = SecretCipher(b"s" * 32, purpose="test")


@given(st.binary(), st.text())
def test_what_is_sealed_opens_for_its_owner(value: bytes, owner: str) -> None:
    assert CIPHER.decrypt(CIPHER.encrypt(value, owner=owner), owner=owner) == value


@given(st.binary(min_size=1), st.data())
def test_a_changed_byte_breaks_the_seal(value: bytes, data: st.DataObject) -> None:
    sealed = bytearray(CIPHER.encrypt(value, owner="a"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecretDecryptionError):
        CIPHER.decrypt(bytes(sealed), owner="a")


@pytest.mark.parametrize(
    ("cipher", "owner"),
    [
        (CIPHER, "b"),
        (SecretCipher(b"t" * 32, purpose="test"), "a"),
        (SecretCipher(b"s" * 32, purpose="other"), "a"),
    ],
)
def test_no_other_owner_secret_or_purpose_opens_it(cipher: SecretCipher, owner: str) -> None:
    with pytest.raises(SecretDecryptionError, match="HIGHLIGHTS_SIGNING_SECRET"):
        cipher.decrypt(CIPHER.encrypt(b"value", owner="a"), owner=owner)


@given(cut=st.integers(0, 30))
def test_a_damaged_seal_is_an_error_that_is_understood(cut: int) -> None:
    sealed = CIPHER.encrypt(b"secret", owner="a")
    with pytest.raises(SecretDecryptionError):
        CIPHER.decrypt(sealed[:cut], owner="a")


@pytest.mark.parametrize("sealed", [b"", b"short", b"\x00" * 40])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SecretDecryptionError):
        CIPHER.decrypt(sealed, owner="a")


def test_the_same_value_never_looks_the_same() -> None:
    one, other = (CIPHER.encrypt(b"whsec_secret", owner="a") for _ in range(2))
    assert one != other
    assert b"secret" not in one
    assert new_secret("p_") != new_secret("p_")
