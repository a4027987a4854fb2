"""Which variant is followed, and what a new reading of a playlist means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.media import VariantPolicy
from domain.playlist import (
    ListedSegment,
    MediaPlaylist,
    Movement,
    Resource,
    Variant,
    choose_variant,
    movement,
    unseen,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

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


def listing(
    first: int, count: int = 5, *, since: datetime | None = None, discontinuity: bool = False
) -> MediaPlaylist:
    """A playlist of 2 s segments; `since` is the wall clock of the first one listed."""
    return MediaPlaylist(
        target_duration=2.0,
        segments=tuple(
            ListedSegment(
                sequence=first + n,
                resource=Resource(url=f"https://x/{first + n}.ts"),
                duration=2.0,
                discontinuity=discontinuity and n == 0,
                program_date_time=since + timedelta(seconds=2 * n) if since else None,
            )
            for n in range(count)
        ),
    )


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


def test_the_first_reading_and_later_numbers_are_an_advance() -> None:
    assert movement(listing(7), next_sequence=None, last_date_time=None) is Movement.ADVANCED
    assert movement(listing(7), next_sequence=11, last_date_time=None) is Movement.ADVANCED
    assert movement(listing(70), next_sequence=11, last_date_time=None) is Movement.ADVANCED


def test_the_same_and_a_slightly_old_playlist_are_no_change() -> None:
    assert movement(listing(7), next_sequence=12, last_date_time=None) is Movement.UNCHANGED
    assert movement(listing(7), next_sequence=15, last_date_time=None) is Movement.UNCHANGED


def test_an_empty_playlist_is_no_change() -> None:
    empty = MediaPlaylist(target_duration=2.0)
    assert movement(empty, next_sequence=None, last_date_time=None) is Movement.UNCHANGED


def test_numbers_that_begin_again_with_later_media_are_a_new_session() -> None:
    reading = listing(0, 1, since=NOON + timedelta(seconds=30))
    assert movement(reading, next_sequence=500, last_date_time=NOON) is Movement.RESTARTED


def test_a_new_session_is_noticed_even_when_its_numbers_have_caught_up() -> None:
    reading = listing(0, 5, since=NOON + timedelta(seconds=2))
    assert movement(reading, next_sequence=4, last_date_time=NOON) is Movement.RESTARTED


def test_a_playlist_that_goes_on_is_no_new_session() -> None:
    reading = listing(7, 5, since=NOON - timedelta(seconds=6))
    assert movement(reading, next_sequence=11, last_date_time=NOON) is Movement.ADVANCED


def test_numbers_far_back_with_media_of_the_past_are_a_regression() -> None:
    reading = listing(0, since=NOON - timedelta(hours=1))
    assert movement(reading, next_sequence=500, last_date_time=NOON) is Movement.REGRESSED
    assert movement(listing(0), next_sequence=500, last_date_time=None) is Movement.REGRESSED


def test_numbers_far_back_behind_a_discontinuity_may_be_a_new_session() -> None:
    reading = listing(0, discontinuity=True)
    assert movement(reading, next_sequence=500, last_date_time=None) is Movement.RESET


def test_of_a_session_numbered_anew_only_later_media_is_new() -> None:
    reading = listing(100, 5, since=NOON - timedelta(seconds=4))
    fresh = unseen(reading.segments, last_date_time=NOON)
    assert [segment.sequence for segment in fresh] == [103, 104]


@given(first=st.integers(0, 1000), count=st.integers(1, 20), advance=st.integers(0, 60))
def test_a_stream_that_only_moves_forward_is_never_taken_for_anything_else(
    first: int, count: int, advance: int
) -> None:
    reading = listing(first + advance, count, since=NOON + timedelta(seconds=2 * advance))
    taken = first + count - 1
    found = movement(
        reading,
        next_sequence=taken + 1,
        last_date_time=NOON + timedelta(seconds=2 * (count - 1)),
    )
    assert found is (Movement.ADVANCED if advance else Movement.UNCHANGED)
