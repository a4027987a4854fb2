"""Sealed secrets open with the same key and for the same owner only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.sealing import BrokenSealError, Sealer

KEY = b"k" * 32


@given(plain=st.text(max_size=100), owner=st.text(max_size=40))
def test_what_is_sealed_opens_again(plain: str, owner: str) -> None:
    sealer = Sealer(KEY, purpose="test")
    assert sealer.open(sealer.seal(plain, owner=owner), owner=owner) == plain


def test_nothing_of_the_secret_is_seen_and_no_two_seals_are_alike() -> None:
    sealer = Sealer(KEY, purpose="test")
    one, other = (sealer.seal("whsec_secret", owner="a") for _ in range(2))
    assert one != other
    assert b"secret" not in one


@pytest.mark.parametrize(
    "opener", [Sealer(b"x" * 32, purpose="test"), Sealer(KEY, purpose="another")]
)
def test_another_key_or_purpose_does_not_open_it(opener: Sealer) -> None:
    sealed = Sealer(KEY, purpose="test").seal("secret", owner="a")
    with pytest.raises(BrokenSealError, match="HIGHLIGHTS_SIGNING_SECRET"):
        opener.open(sealed, owner="a")


def test_another_owners_secret_cannot_be_put_in_its_place() -> None:
    sealer = Sealer(KEY, purpose="test")
    sealed = sealer.seal("secret", owner="a")
    with pytest.raises(BrokenSealError):
        sealer.open(sealed, owner="b")


@given(cut=st.integers(0, 30))
def test_a_damaged_seal_is_an_error_that_is_understood(cut: int) -> None:
    sealer = Sealer(KEY, purpose="test")
    sealed = sealer.seal("secret", owner="a")
    with pytest.raises(BrokenSealError):
        sealer.open(sealed[:cut], owner="a")
