"""What a tenant's overrides do to its profiles, and what they can never do."""

from __future__ import annotations

import math

import pytest

from domain.profiles.catalog import ProfileCatalog, TenantProfiles
from domain.profiles.documents import MAX_NESTING, MAX_OVERRIDES, InvalidProfilesError, Layer
from tests.factories.profiles import override


def shipped(**more: dict[str, object]) -> ProfileCatalog:
    documents: dict[str, dict[str, object]] = {
        "default": {"name": "General", "kind": "default"},
        "soccer": {"name": "Soccer", "kind": "sport", "tags": {"play": ["goal"]}},
        "futsal": {"extends": "soccer", "name": "Futsal", "kind": "sport"},
        **more,
    }
    return ProfileCatalog.of(
        {name: (Layer(source=name, data=data),) for name, data in documents.items()}
    )


def nested(levels: int) -> dict[str, object]:
    patch: dict[str, object] = {"value": 1}
    for _ in range(levels - 1):
        patch = {"level": patch}
    return patch


def test_a_later_revision_takes_the_place_of_the_former() -> None:
    profiles = TenantProfiles.of(shipped(), [override(clip={"pre_roll": 1.0})])
    changed = profiles.with_override(override(revision=2, selection={"per_window": 3}))
    assert changed.catalog.get("soccer").clip.pre_roll == 2.0
    assert changed.catalog.get("soccer").selection.per_window == 3


def test_without_the_override_the_shipped_rules_are_back() -> None:
    profiles = TenantProfiles.of(shipped(), [override(clip={"pre_roll": 1.0})])
    assert profiles.without_override("soccer").catalog.get("soccer") == shipped().get("soccer")


def test_a_stored_override_that_no_longer_fits_is_left_out_and_the_others_stay() -> None:
    profiles = TenantProfiles.of(
        shipped(), [override(clipp={}), override("futsal", clip={"pre_roll": 1.0})]
    )
    assert profiles.catalog.get("soccer") == shipped().get("soccer")
    assert profiles.catalog.get("futsal").clip.pre_roll == 1.0
    assert set(profiles.refused) == {"soccer"}


def test_a_match_names_the_omitted_overrides() -> None:
    (note,) = TenantProfiles.of(shipped(), [override(clipp={})]).match("futsal").notes
    assert note == (
        "the override of `soccer` was left out, since it no longer fits the shipped profiles: "
        "override soccer revision 1: clipp: unknown key `clipp`; did you mean `clip`?"
    )


def test_an_override_that_makes_a_shipped_heir_wrong_is_left_out() -> None:
    goal = {"words": "a goal", "length": {"shortest": 1, "typical": 2, "longest": 3}}
    heir: dict[str, object] = {
        "extends": "soccer",
        "name": "Beach",
        "kind": "sport",
        "moments": {"goal": {**goal, "tags": ["goal"]}},
    }
    profiles = TenantProfiles.of(shipped(beach=heir), [override(tags={"play": ["save"]})])
    assert set(profiles.refused) == {"soccer"}
    assert profiles.catalog.get("beach").all_tags() == {"goal"}


def test_one_refused_override_does_not_hinder_a_change_of_another() -> None:
    profiles = TenantProfiles.of(shipped(), [override(clipp={})])
    changed = profiles.with_override(override("futsal", clip={"pre_roll": 1.0}))
    assert changed.catalog.get("futsal").clip.pre_roll == 1.0
    assert set(changed.refused) == {"soccer"}


def test_a_refused_override_can_be_put_right_or_taken_away() -> None:
    profiles = TenantProfiles.of(shipped(), [override(clipp={})])
    assert profiles.with_override(override(revision=2, clip={"pre_roll": 1.0})).refused == {}
    assert profiles.without_override("soccer").refused == {}


def test_a_profile_that_others_build_upon_cannot_be_taken_away() -> None:
    profiles = TenantProfiles.of(
        shipped(),
        [
            override("curling", name="Curling", kind="sport"),
            override("curling_cup", extends="curling", name="Cup", kind="sport"),
        ],
    )
    with pytest.raises(InvalidProfilesError, match="there is no profile `curling`"):
        profiles.without_override("curling")


def test_there_is_a_limit_to_how_many_profiles_a_tenant_adds() -> None:
    own = [override(f"own_{n}", name="Own", kind="sport") for n in range(MAX_OVERRIDES)]
    profiles = TenantProfiles.of(shipped(), own)
    assert profiles.with_override(override("own_0", revision=2, name="Own", kind="sport"))
    with pytest.raises(InvalidProfilesError, match="at most 50 profiles"):
        profiles.with_override(override("one_more", name="Own", kind="sport"))


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({}, "changes nothing"),
        (nested(MAX_NESTING + 1), "is nested more than 8 levels deep"),
        (nested(5000), "is nested more than 8 levels deep"),
        ({"weights": {"rarity": math.nan}}, "weights.rarity: must be a finite number"),
        ({"clip": {"pre_roll": math.inf}}, "clip.pre_roll: must be a finite number"),
        ({"name": "a\x00b"}, "name: has control characters"),
        ({"name": "\ud800"}, "name: has control characters"),
        ({"tags": {"a\nb": []}}, "tags: has a key with control characters"),
    ],
)
def test_what_no_profile_could_hold_is_refused_before_it_is_merged(
    patch: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidProfilesError, match=words):
        TenantProfiles.of(shipped(), []).with_override(
            override().model_copy(update={"patch": patch})
        )


def test_a_patch_as_deep_as_allowed_is_judged_by_the_schema() -> None:
    deep = override().model_copy(update={"patch": nested(MAX_NESTING)})
    with pytest.raises(InvalidProfilesError, match="unknown key `level`"):
        TenantProfiles.of(shipped(), []).with_override(deep)
