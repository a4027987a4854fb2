"""Laying one layer over another."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.profiles.documents import Json, merge_patch

KEYS = st.sampled_from("abc")
LEAVES = st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2).map(list[Json])
SECTIONS = st.dictionaries(KEYS, LEAVES, max_size=3).map(dict[str, Json])
LAYERS = st.fixed_dictionaries(
    {}, optional={"leaf": LEAVES, "section": SECTIONS, "other": SECTIONS}
).map(dict[str, Json])
"""Layers of one schema: what is a mapping in one is a mapping in all, as in valid profiles."""

ANY = st.recursive(
    st.none() | st.integers(0, 3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3).map(dict[str, Json]),
    max_leaves=8,
)
PATCHES = st.dictionaries(KEYS, ANY, max_size=3)


@settings(deadline=None)
@given(LAYERS)
def test_an_empty_patch_changes_nothing(target: dict[str, Json]) -> None:
    assert merge_patch(target, {}) == target


@settings(deadline=None)
@given(LAYERS, LAYERS, LAYERS)
def test_layers_may_be_merged_in_any_grouping(
    a: dict[str, Json], b: dict[str, Json], c: dict[str, Json]
) -> None:
    assert merge_patch(merge_patch(a, b), c) == merge_patch(a, merge_patch(b, c))


@settings(deadline=None)
@given(PATCHES, PATCHES)
def test_a_patch_laid_on_twice_is_laid_on_once(
    target: dict[str, Json], patch: dict[str, Json]
) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@settings(deadline=None)
@given(LAYERS, SECTIONS)
def test_the_patch_wins_where_both_speak(target: dict[str, Json], section: dict[str, Json]) -> None:
    merged = merge_patch(target, {"section": section})["section"]
    assert isinstance(merged, dict)
    assert {key: merged[key] for key in section} == section


def test_lists_are_replaced_and_null_takes_away() -> None:
    merged = merge_patch({"list": [1, 2], "gone": 1, "kept": 1}, {"list": [3], "gone": None})
    assert merged == {"list": [3], "kept": 1}


def test_neither_argument_is_changed() -> None:
    target: dict[str, Json] = {"section": {"a": 1}}
    patch: dict[str, Json] = {"section": {"b": 2}}
    merge_patch(target, patch)
    assert target == {"section": {"a": 1}}
    assert patch == {"section": {"b": 2}}
