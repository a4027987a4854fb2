"""Text from outside encodes again, whatever it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.text import clean_text, is_storable


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("plain", "plain"),
        ("\x00a\x00", "a"),
        ("a\ud800", "a\ufffd"),
        ("\udfffb", "\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("abcdef", "abcd"),
    ],
)
def test_what_cannot_be_encoded_is_replaced(value: str, clean: str) -> None:
    limit = 4 if value == "abcdef" else 100
    assert clean_text(value, limit) == clean


@given(st.text(st.characters(exclude_categories=())), st.integers(0, 50))
def test_all_text_can_be_stored_afterwards(value: str, limit: int) -> None:
    clean = clean_text(value, limit)
    assert clean.encode().decode() == clean
    assert is_storable(clean)
    assert len(clean) <= limit
    if is_storable(value):
        assert clean == value[:limit]
