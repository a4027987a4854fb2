"""Which variant is followed, and what a new reading of a playlist means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.playlist import (
    ListedSegment,
    MediaPlaylist,
    Movement,
    Resource,
    movement,
    unseen,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


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
