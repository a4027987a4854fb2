"""From documents to profiles: inheritance, validation and the words of each refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.profiles.documents import MAX_DEPTH, InvalidProfilesError, Layer, resolve_documents
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS

EVEN = dict.fromkeys(DIMENSIONS, 0.125)
DEFAULT: dict[str, object] = {"name": "General", "kind": "default"}


def resolve(**documents: dict[str, Any]) -> dict[str, GameProfile]:
    return resolve_documents(
        {
            name: (Layer(source=f"{name}.yaml", data=data),)
            for name, data in {"default": DEFAULT, **documents}.items()
        }
    )


def refusal(**documents: dict[str, Any]) -> str:
    with pytest.raises(InvalidProfilesError) as caught:
        resolve(**documents)
    return str(caught.value)


def child(**data: object) -> dict[str, object]:
    return {"extends": "default", "name": "Child", "kind": "sport", **data}


def test_a_child_has_its_parents_values_where_it_says_nothing() -> None:
    profiles = resolve(a=child(clip={"pre_roll": 3.0}), b=child(extends="a", name="B"))
    assert profiles["b"].clip.pre_roll == 3.0
    assert profiles["b"].clip.post_roll == profiles["default"].clip.post_roll


def test_names_are_not_inherited() -> None:
    profiles = resolve(
        a=child(aliases={"names": ["alpha"]}, description="the first"),
        b=child(extends="a", name="B"),
    )
    assert profiles["b"].aliases.names == ()
    assert profiles["b"].description == ""


def test_null_takes_an_inherited_moment_away() -> None:
    goal = {"words": "a goal", "length": {"shortest": 1, "typical": 2, "longest": 3}}
    profiles = resolve(
        a=child(moments={"goal": goal}), b=child(extends="a", name="B", moments={"goal": None})
    )
    assert set(profiles["a"].moments) == {"goal"}
    assert profiles["b"].moments == {}


def test_an_unknown_key_is_refused_with_the_nearest_valid_one() -> None:
    words = refusal(a=child(thresholds={"standart": 0.7}))
    assert words == "a.yaml: thresholds.standart: unknown key `standart`; did you mean `standard`?"


def test_an_unknown_dimension_is_refused_with_the_nearest_one() -> None:
    words = refusal(a=child(weights={**EVEN, "rarety": 0.0}))
    assert words == "a.yaml: weights.rarety: `rarety` is not a dimension; did you mean `rarity`?"


def test_an_unknown_key_far_from_any_is_refused_with_all_valid_ones() -> None:
    assert "valid here: high_quality" not in refusal(a=child(thresholds={"zzz": 1}))
    assert "valid here: exceptional, high_quality, standard" in refusal(
        a=child(thresholds={"zzz": 1})
    )


@settings(deadline=None)
@given(index=st.integers(0, 7), error=st.floats(2e-6, 0.5) | st.floats(-0.12, -2e-6))
def test_weights_that_do_not_sum_to_one_are_refused(index: int, error: float) -> None:
    weights = {**EVEN, DIMENSIONS[index]: EVEN[DIMENSIONS[index]] + error}
    assert "weights must sum to 1" in refusal(a=child(weights=weights))


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1.0), min_size=8, max_size=8))
def test_weights_that_sum_to_one_within_a_millionth_are_accepted(shares: list[float]) -> None:
    weights = {name: share / sum(shares) for name, share in zip(DIMENSIONS, shares, strict=True)}
    assert resolve(a=child(weights=weights))["a"].weights == weights


def test_the_refusal_of_weights_says_how_much_is_missing() -> None:
    words = refusal(a=child(weights={**EVEN, "rarity": 0.025}))
    assert words == "a.yaml: weights: weights must sum to 1; they sum to 0.9: add 0.1"


def test_an_overlooked_dimension_is_named() -> None:
    own = {name: weight for name, weight in EVEN.items() if name != "rarity"}
    with pytest.raises(ValueError, match="missing: rarity"):
        GameProfile(id="a", version="", name="A", weights=own)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("thresholds", {"standard": 0.9}, "thresholds must rise"),
        ("selection", {"per_hour": 3}, "raise per_hour or lower per_window"),
        ("selection", {"window": 60, "min_spacing": 90}, "is longer than window"),
        ("selection", {"per_window": 0}, "should be greater than 0"),
        ("clip", {"min_length": 50}, "is longer than max_length"),
        ("clip", {"pre_roll": 20, "post_roll": 20}, "leave no room for the moment"),
        ("clip", {"pre_roll": "2"}, "should be a valid number; it is '2'"),
        ("weights", {**EVEN, "rarity": float("nan")}, "finite number"),
        ("aliases", {"names": [True]}, "should be a valid string"),
        ("moments", {"x": {"words": "x"}}, "Field required"),
        ("kind", "game", "should be 'default', 'esport', 'sport' or 'betting'"),
    ],
)
def test_values_that_make_no_sense_are_refused(key: str, value: object, words: str) -> None:
    assert words in refusal(a=child(**{key: value}))


def test_a_moment_may_only_use_tags_of_the_taxonomy() -> None:
    moment = {
        "words": "x",
        "length": {"shortest": 1, "typical": 2, "longest": 3},
        "tags": ["gaol"],
    }
    words = refusal(a=child(tags={"score": ["goal"]}, moments={"goal": moment}))
    assert "moments.goal.tags.0: `gaol` is not among the profile's tags; did you mean `goal`?" in (
        words
    )


def test_a_betting_profile_must_name_the_markets_it_moves() -> None:
    assert "must say which markets" in refusal(a=child(kind="betting"))


def test_a_profile_cannot_inherit_from_itself() -> None:
    words = refusal(a=child(extends="b"), b=child(extends="a", name="B"))
    assert "b.yaml: extends: inherits from itself: a -> b -> a" in words


def test_an_unknown_parent_is_refused_with_the_nearest_profile() -> None:
    assert "there is no profile `defualt`; did you mean `default`?" in refusal(
        a=child(extends="defualt")
    )


def test_inheritance_deeper_than_anyone_can_follow_is_refused() -> None:
    chain = {f"p{i}": child(extends=f"p{i - 1}" if i else "default") for i in range(MAX_DEPTH)}
    assert f"inherits through more than {MAX_DEPTH} profiles" in refusal(**chain)


def test_an_error_of_the_parent_is_reported_once_for_the_parent() -> None:
    words = refusal(a=child(clip={"pre_rol": 1}), b=child(extends="a", name="B"))
    assert words.count("pre_rol`") == 1
    assert words.startswith("a.yaml: ")


@pytest.mark.parametrize("key", ["id", "version"])
def test_what_is_derived_must_not_be_written(key: str) -> None:
    assert f"`{key}` is not written but derived" in refusal(a=child(**{key: "x"}))


def test_there_must_be_a_default() -> None:
    with pytest.raises(InvalidProfilesError, match="there must be a profile `default`"):
        resolve_documents({"a": (Layer(source="a", data={"name": "A", "kind": "sport"}),)})


def test_equal_content_has_an_equal_version_and_other_content_another() -> None:
    one, same = resolve(a=child())["a"], resolve(a=child())["a"]
    other = resolve(a=child(clip={"pre_roll": 2.25}))["a"]
    assert one.version == same.version != other.version


def test_a_change_of_the_parent_changes_the_childs_version() -> None:
    before = resolve(a=child(), b=child(extends="a", name="B"))["b"]
    after = resolve(a=child(clip={"pre_roll": 2.25}), b=child(extends="a", name="B"))["b"]
    assert before.version != after.version


def region(x: float, y: float, width: float, height: float, holds: str = "score") -> dict[str, Any]:
    return {"holds": holds, "box": {"x": x, "y": y, "width": width, "height": height}}


def test_a_region_outside_the_picture_is_refused_with_its_measures() -> None:
    words = refusal(a=child(hud={"regions": {"score": region(0.9, 0.1, 0.2, 0.1)}}))
    assert words == (
        "a.yaml: hud.regions.score.box: the box lies outside the picture: "
        "x 0.9 + width 0.2 is 1.1, and the picture ends at 1"
    )


def test_a_region_may_end_at_the_edge_of_the_picture() -> None:
    profile = resolve(a=child(hud={"regions": {"feed": region(0.7, 0.9, 0.3, 0.1, "feed")}}))["a"]
    assert profile.hud.regions["feed"].box.width == 0.3


def test_regions_that_read_the_same_text_are_refused() -> None:
    regions = {"one": region(0.1, 0.1, 0.2, 0.1), "two": region(0.12, 0.1, 0.2, 0.1)}
    assert "`one` and `two` overlap by 90%" in refusal(a=child(hud={"regions": regions}))
    apart = {"one": region(0.1, 0.1, 0.2, 0.1), "two": region(0.25, 0.1, 0.2, 0.1)}
    assert len(resolve(a=child(hud={"regions": apart}))["a"].hud.regions) == 2


def test_a_region_that_holds_something_unknown_is_refused() -> None:
    words = refusal(a=child(hud={"regions": {"one": region(0.1, 0.1, 0.2, 0.1, "goals")}}))
    assert "'score', 'clock', 'feed' or 'banner'" in words


def test_null_takes_an_inherited_region_and_word_away() -> None:
    hud = {"regions": {"score": region(0.1, 0.1, 0.2, 0.1)}, "words": {"goal": 0.9}}
    profiles = resolve(
        a=child(hud=hud),
        b=child(extends="a", name="B", hud={"regions": {"score": None}, "words": {"goal": None}}),
    )
    assert profiles["b"].hud.regions == {}
    assert profiles["b"].hud.words == {}
