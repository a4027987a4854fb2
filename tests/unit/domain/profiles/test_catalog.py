"""Versions that streams have pinned, and tenants' own changes."""

from __future__ import annotations

import pytest

from domain.profiles.catalog import ProfileCatalog, UnknownProfileError
from domain.profiles.documents import InvalidProfilesError, Layer
from tests.factories.profiles import override


def catalog(pre_roll: float = 2.0, **more: dict[str, object]) -> ProfileCatalog:
    documents: dict[str, dict[str, object]] = {
        "default": {"name": "General", "kind": "default"},
        "soccer": {"name": "Soccer", "kind": "sport", "clip": {"pre_roll": pre_roll}},
        "futsal": {"extends": "soccer", "name": "Futsal", "kind": "sport"},
        **more,
    }
    return ProfileCatalog.of(
        {name: (Layer(source=name, data=data),) for name, data in documents.items()}
    )


def test_a_pinned_version_outlives_a_change_of_its_profile() -> None:
    before, after = catalog(2.0), catalog(3.0)
    pinned = before.get("soccer").version
    now = after.succeeding(before)
    assert now.get("soccer", pinned).clip.pre_roll == 2.0
    assert now.get("soccer").clip.pre_roll == 3.0


def test_a_pinned_version_outlives_many_changes_and_a_change_back() -> None:
    first = catalog(2.0)
    pinned = first.get("soccer").version
    now = first
    for pre_roll in (3.0, 2.0, 4.0):
        now = catalog(pre_roll).succeeding(now)
    assert now.pinned("soccer", pinned).profile.clip.pre_roll == 2.0
    assert now.pinned("soccer", pinned).note == ""


def test_an_unknown_version_gives_the_current_one_and_says_so() -> None:
    found = catalog().pinned("soccer", "000000000000")
    assert found.profile == catalog().get("soccer")
    assert "version 000000000000 of profile `soccer` is no longer known" in found.note


def test_a_pinned_profile_that_is_gone_gives_default_and_says_so() -> None:
    found = catalog().pinned("curling", "000000000000")
    assert found.profile.id == "default"
    assert "`curling` no longer exists" in found.note


def test_asking_for_a_profile_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(UnknownProfileError, match="did you mean `soccer`"):
        catalog().get("socer")


def test_an_override_changes_the_profile_for_its_tenant_only() -> None:
    shipped = catalog()
    theirs = shipped.with_overrides([override(selection={"per_window": 3})])
    assert theirs.get("soccer").selection.per_window == 3
    assert theirs.get("soccer").version != shipped.get("soccer").version
    assert shipped.get("soccer").selection.per_window == 8


def test_what_extends_an_overridden_profile_inherits_the_override() -> None:
    theirs = catalog().with_overrides([override(selection={"per_window": 3})])
    assert theirs.get("futsal").selection.per_window == 3


def test_the_latest_revision_counts() -> None:
    revisions = [
        override(revision=2, selection={"per_window": 4}),
        override(revision=1, clip={"pre_roll": 1.0}),
    ]
    theirs = catalog().with_overrides(revisions)
    assert theirs.get("soccer").selection.per_window == 4
    assert theirs.get("soccer").clip.pre_roll == 2.0


def test_an_empty_override_changes_nothing() -> None:
    assert catalog().with_overrides([override()]).get("soccer") == catalog().get("soccer")


def test_a_tenant_may_add_a_profile() -> None:
    own = override("curling", extends="default", name="Curling", kind="sport")
    assert catalog().with_overrides([own]).get("curling").name == "Curling"


def test_a_wrong_override_is_refused_and_named() -> None:
    with pytest.raises(InvalidProfilesError) as caught:
        catalog().with_overrides([override(revision=7, selection={"per_windw": 3})])
    assert str(caught.value) == (
        "override soccer revision 7: selection.per_windw: unknown key `per_windw`; "
        "did you mean `per_window`?"
    )


def test_the_shipped_version_stays_known_under_an_override() -> None:
    shipped = catalog()
    theirs = shipped.with_overrides([override(selection={"per_window": 3})])
    assert theirs.get("soccer", shipped.get("soccer").version) == shipped.get("soccer")
