"""What timed metadata says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.marks import mark_name


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ("goal", "goal"),
        ("Penta Kill!", "penta_kill"),
        ("", ""),
        ('{"event": "red card"}', "red_card"),
        ('{"payload": "{\\"highlight\\": \\"ace\\"}"}', "ace"),
        ('{"event": {"name": "goal"}}', "goal"),
        ('{"score": 3}', ""),
        ("42", ""),
        ('{"type": "ad_break"}', None),
        ("poll", None),
    ],
)
def test_a_payload_names_its_moment(payload: str, name: str | None) -> None:
    assert mark_name(payload) == name


@given(st.text(max_size=200))
def test_any_payload_gives_a_plain_short_name_or_none(payload: str) -> None:
    name = mark_name(payload)
    assert name is None or (len(name) <= 32 and all(c.isalnum() or c == "_" for c in name))
