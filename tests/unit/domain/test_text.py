"""Text from outside is storable whatever it holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.text import clean_text


@given(text=st.text(st.characters(codec=None)), limit=st.integers(0, 50))
def test_clean_text_encodes_holds_no_nul_and_is_bounded(text: str, limit: int) -> None:
    cleaned = clean_text(text, limit)
    assert "\x00" not in cleaned
    assert len(cleaned.encode()) <= 4 * limit
    assert clean_text(cleaned, limit) == cleaned


def test_text_that_can_be_stored_is_left_as_it_is() -> None:
    assert clean_text("Tor für 🇩🇪\n", 100) == "Tor für 🇩🇪\n"


def test_halves_of_characters_are_replaced_and_nul_is_left_out() -> None:
    assert clean_text("a\ud800b\x00c\udfff", 100) == "a\ufffdbc\ufffd"
