"""Which variant is followed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.media import VariantPolicy
from domain.playlist import Variant, choose_variant

variants = st.builds(
    Variant,
    url=st.text(min_size=1),
    bandwidth=st.integers(0, 10_000_000),
    height=st.one_of(st.none(), st.integers(90, 4320)),
    audio_only=st.booleans(),
    separate_audio=st.booleans(),
)


def variant(height: int | None, bandwidth: int = 1_000_000, **rest: bool) -> Variant:
    return Variant(url=f"{height}-{bandwidth}", height=height, bandwidth=bandwidth, **rest)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([variant(1080), variant(720), variant(480)], 720),
        ([variant(1080), variant(2160)], 1080),
        ([variant(360), variant(480)], 480),
        ([variant(480), variant(720, separate_audio=True)], 480),
        ([variant(720, separate_audio=True), variant(None, audio_only=True)], 720),
        ([variant(None), variant(360)], 360),
    ],
)
def test_the_best_variant_with_sound_and_pictures_that_is_not_too_high(
    offered: list[Variant], chosen: int
) -> None:
    assert choose_variant(offered, VariantPolicy(max_height=720)).height == chosen


def test_without_heights_the_bandwidth_decides() -> None:
    offered = [variant(None, 300_000), variant(None, 900_000)]
    assert choose_variant(offered, VariantPolicy()).bandwidth == 900_000


def test_sound_alone_is_better_than_nothing() -> None:
    assert choose_variant([variant(None, audio_only=True)], VariantPolicy()).name == "audio"


@given(offered=st.lists(variants, min_size=1), height=st.integers(1, 4320))
def test_one_of_those_offered_is_chosen_and_pictures_whenever_there_are_any(
    offered: list[Variant], height: int
) -> None:
    chosen = choose_variant(offered, VariantPolicy(max_height=height))
    assert chosen in offered
    assert not chosen.audio_only or all(each.audio_only for each in offered)


@given(offered=st.lists(variants, min_size=1), height=st.integers(1, 4320))
def test_a_lower_policy_never_chooses_a_higher_picture(offered: list[Variant], height: int) -> None:
    policy = VariantPolicy(max_height=height)
    chosen = choose_variant(offered, policy)
    rivals = [
        each
        for each in offered
        if (each.audio_only, each.separate_audio) == (chosen.audio_only, chosen.separate_audio)
    ]
    if (chosen.height or 0) > height:
        assert all((each.height or 0) > height for each in rivals)


@pytest.mark.parametrize(
    ("offered", "name"),
    [(variant(720), "720p"), (variant(None, 1_720_000), "1720k")],
)
def test_names_are_safe_in_file_names(offered: Variant, name: str) -> None:
    assert offered.name == name
