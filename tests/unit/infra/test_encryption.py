"""Sealed secrets open for their owner, under the secret they were sealed with, and unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.encryption import SealBrokenError, SecretBox, new_secret

BOX = SecretBox(b"s" * 32, purpose="test")


@given(st.binary(), st.text())
def test_what_is_sealed_opens_for_its_owner(value: bytes, owner: str) -> None:
    assert BOX.open(BOX.seal(value, owner=owner), owner=owner) == value


@given(st.binary(min_size=1), st.data())
def test_a_changed_byte_breaks_the_seal(value: bytes, data: st.DataObject) -> None:
    sealed = bytearray(BOX.seal(value, owner="a"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBrokenError):
        BOX.open(bytes(sealed), owner="a")


@pytest.mark.parametrize(
    ("box", "owner"),
    [
        (BOX, "b"),
        (SecretBox(b"t" * 32, purpose="test"), "a"),
        (SecretBox(b"s" * 32, purpose="other"), "a"),
    ],
)
def test_no_other_owner_secret_or_purpose_opens_it(box: SecretBox, owner: str) -> None:
    with pytest.raises(SealBrokenError, match="HIGHLIGHTS_SIGNING_SECRET"):
        box.open(BOX.seal(b"value", owner="a"), owner=owner)


@given(cut=st.integers(0, 30))
def test_a_damaged_seal_is_an_error_that_is_understood(cut: int) -> None:
    sealed = BOX.seal(b"secret", owner="a")
    with pytest.raises(SealBrokenError):
        BOX.open(sealed[:cut], owner="a")


@pytest.mark.parametrize("sealed", [b"", b"short", b"\x00" * 40])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SealBrokenError):
        BOX.open(sealed, owner="a")


def test_the_same_value_never_looks_the_same() -> None:
    one, other = (BOX.seal(b"whsec_secret", owner="a") for _ in range(2))
    assert one != other
    assert b"secret" not in one
    assert new_secret("p_") != new_secret("p_")
