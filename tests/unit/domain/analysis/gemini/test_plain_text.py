"""A model's words become one line of plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analysis.gemini.parsing import plain_text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("A goal!", "A goal!"),
        ("  two\n\nlines\t", "two lines"),
        ("<b>bold</b> claim", "bold claim"),
        ("see https://evil.example/?q=1 now", "see now"),
        ("zero\u200bwidth and \u202eturned", "zero width and turned"),
        ("می\u200cرود \u200fگل", "می\u200cرود \u200fگل"),
        ("Målvakt räddar 👏", "Målvakt räddar 👏"),
        (None, ""),
        (["a"], ""),
    ],
)
def test_what_is_shown(said: object, shown: str) -> None:
    assert plain_text(said, longest=80) == shown


def test_long_text_ends_at_a_word_and_says_so() -> None:
    assert plain_text("one two three four", longest=10) == "one two…"
    assert plain_text("x" * 50, longest=10) == "x" * 9 + "…"


@given(st.text(alphabet="ab <>&\n\u200b\x00…/:.htps", max_size=120), st.integers(2, 40))
def test_nothing_is_longer_than_allowed_and_nothing_is_markup(said: str, longest: int) -> None:
    shown = plain_text(said, longest=longest)
    assert len(shown) <= longest
    assert not set(shown) & set("<>\n\x00\u200b")
