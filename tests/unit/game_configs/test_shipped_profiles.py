"""What the shipped profiles promise."""

from __future__ import annotations

import math

import pytest
import yaml

from domain.profiles.model import FillMethod, GameProfile, ProfileKind, Thresholds
from domain.score import DIMENSIONS
from infra.profiles.store import load_shipped_catalog, shipped_directory

CATALOG = load_shipped_catalog()
PROFILES = [CATALOG.get(profile_id) for profile_id in CATALOG.ids()]
BETTING = [profile for profile in PROFILES if profile.kind is ProfileKind.BETTING]


def test_the_games_and_sports_of_the_product_are_there() -> None:
    assert {p.id for p in PROFILES if p.kind is not ProfileKind.BETTING} == {
        *("default", "valorant", "counter_strike", "league_of_legends", "dota2", "overwatch"),
        *("apex_legends", "fortnite", "rocket_league", "soccer", "basketball"),
        *("american_football", "tennis", "cricket", "hockey", "baseball", "mma_boxing"),
        *("horse_racing", "greyhound_racing", "rugby_union", "rugby_league", "golf"),
        *("motor_racing", "darts", "snooker", "table_tennis", "volleyball", "handball"),
        *("badminton", "cycling", "australian_rules", "poker", "chess"),
        *("rainbow_six", "pubg", "call_of_duty", "ea_fc", "starcraft2", "mobile_legends"),
        *("honor_of_kings", "fighting_games"),
    }


def test_default_weighs_as_the_product_says() -> None:
    weights = (0.25, 0.20, 0.15, 0.10, 0.10, 0.08, 0.07, 0.05)
    assert CATALOG.get("default").weights == dict(zip(DIMENSIONS, weights, strict=True))


def test_default_tiers_are_as_the_product_says() -> None:
    assert CATALOG.get("default").thresholds == Thresholds(
        exceptional=0.95, high_quality=0.85, standard=0.70
    )


def test_the_schemas_defaults_are_those_of_the_default_profile() -> None:
    shipped, bare = CATALOG.get("default"), GameProfile(id="default", version="", name="General")
    for part in ("weights", "thresholds", "clip", "similarity", "analyzer"):
        assert getattr(shipped, part) == getattr(bare, part), part


def test_default_differs_from_the_schema_only_by_showing_weak_moments() -> None:
    many = {"per_window": 10, "per_hour": 120, "min_spacing": 15.0}
    weak = {"fill": FillMethod.BEST_OF, "fill_to": 10}
    bare = GameProfile(id="default", version="", name="General").selection
    assert CATALOG.get("default").selection == bare.model_copy(update=many | weak)


def test_an_hour_has_room_for_all_windows_of_a_stream_of_weak_moments() -> None:
    limits = CATALOG.get("default").selection
    assert limits.per_hour >= limits.fill_to * 3600 / limits.window


def test_only_default_shows_weak_moments_without_being_asked() -> None:
    fills = {each.id for each in PROFILES if each.selection.fill is FillMethod.BEST_OF}
    assert fills == {"default"}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_weights_sum_to_one(profile: GameProfile) -> None:
    assert math.isclose(sum(profile.weights.values()), 1.0, abs_tol=1e-6)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_no_profile_asks_more_of_a_standard_moment_than_the_local_analyzer_gives(
    profile: GameProfile,
) -> None:
    assert profile.thresholds.standard <= 0.70


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_clips_stay_close_around_their_moment(profile: GameProfile) -> None:
    assert 1.5 <= profile.clip.pre_roll <= 3.0
    assert 1.0 <= profile.clip.post_roll <= 2.5
    assert 6.0 <= profile.clip.min_length <= 8.0
    assert 30.0 <= profile.clip.max_length <= 45.0


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_a_typical_moment_fits_into_a_clip(profile: GameProfile) -> None:
    for name, moment in profile.moments.items():
        assert moment.length.typical <= profile.clip.max_length, name


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_every_profile_says_what_matters(profile: GameProfile) -> None:
    assert profile.description
    assert profile.tags
    assert profile.moments
    assert profile.prompt.look_for
    assert profile.prompt.ignore


@pytest.mark.parametrize("profile", BETTING, ids=lambda p: p.id)
def test_betting_puts_consequence_before_beauty(profile: GameProfile) -> None:
    parent = CATALOG.get(str(profile.extends))
    for dimension in ("game_impact", "timing_importance", "momentum_shift"):
        assert profile.weights[dimension] > parent.weights[dimension]
    for dimension in ("skill_execution", "visual_spectacle"):
        assert profile.weights[dimension] < parent.weights[dimension]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_every_betting_market_is_moved_by_something(profile: GameProfile) -> None:
    moved = {market for moment in profile.moments.values() for market in moment.markets}
    assert moved == set(profile.markets)


@pytest.mark.parametrize("profile", BETTING, ids=lambda p: p.id)
def test_every_betting_profile_watches_for_upsets(profile: GameProfile) -> None:
    assert "upset_risk" in profile.moments["upset"].tags


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_a_profile_survives_yaml(profile: GameProfile) -> None:
    text = yaml.safe_dump(profile.model_dump(mode="json"), allow_unicode=True)
    assert GameProfile.model_validate(yaml.safe_load(text)) == profile


@pytest.mark.parametrize("path", sorted(shipped_directory().glob("*.yaml")), ids=lambda p: p.stem)
def test_every_file_points_editors_to_the_schema(path: object) -> None:
    text = (shipped_directory() / str(path)).read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=profile.schema.json\n")
