"""The form of API keys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import api_keys
from infra.api_keys import KeyMode, PlainKey


@pytest.mark.parametrize("mode", list(KeyMode))
def test_a_generated_key_is_parsed_as_itself(mode: KeyMode) -> None:
    key = api_keys.generate(mode)
    assert api_keys.parse(key.value) == key
    assert key.value.startswith(f"hl_{mode}_")


@settings(deadline=None)
@given(st.sampled_from(KeyMode), st.integers(0, 45), st.characters(codec="utf-8"))
def test_one_wrong_character_is_noticed(mode: KeyMode, position: int, character: str) -> None:
    text = api_keys.generate(mode).value
    changed = text[:position] + character + text[position + 1 :]
    assert (api_keys.parse(changed) is None) == (changed != text)


@settings(deadline=None)
@given(st.sampled_from(KeyMode), st.integers(0, 46), st.characters(codec="utf-8"))
def test_one_character_more_is_noticed(mode: KeyMode, position: int, character: str) -> None:
    text = api_keys.generate(mode).value
    assert api_keys.parse(text[:position] + character + text[position:]) is None


@settings(deadline=None)
@given(st.sampled_from(KeyMode), st.integers(0, 45))
def test_one_character_less_is_noticed(mode: KeyMode, position: int) -> None:
    text = api_keys.generate(mode).value
    assert api_keys.parse(text[:position] + text[position + 1 :]) is None


@settings(deadline=None)
@given(st.integers(8, 44))
def test_two_characters_exchanged_are_noticed(position: int) -> None:
    text = api_keys.generate(KeyMode.LIVE).value
    first, second = text[position], text[position + 1]
    changed = text[:position] + second + first + text[position + 2 :]
    assert (api_keys.parse(changed) is None) == (first != second)


@settings(deadline=None)
@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    assert api_keys.parse(text) is None
    assert api_keys.parse(f"hl_live_{text}") is None


def test_a_key_is_not_written_out_by_accident() -> None:
    key = api_keys.generate(KeyMode.LIVE)
    assert key.value[8:-4] not in f"{key!r}"


def test_the_hash_depends_on_key_and_secret() -> None:
    key, other = api_keys.generate(KeyMode.LIVE), api_keys.generate(KeyMode.LIVE)
    hashes = {
        api_keys.hash_key(each, secret=secret) for each in (key, other) for secret in (b"a", b"b")
    }
    assert len(hashes) == 4


def test_keys_made_before_stay_valid() -> None:
    known = PlainKey("hl_test_0123456789ABCDEFGHIJKLMNOPQRSTUV1VW5Kz")
    assert api_keys.parse(known.value) == known
