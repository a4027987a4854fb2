"""Timestamps of packets: wraps undone, bad ones derived, good ones left alone."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from domain.media.packet_times import (
    TICKS,
    WRAP,
    decode_times,
    presentation_times,
    sequential_times,
    unwrap,
)

STEP = TICKS // 25
HOUR = 3600 * TICKS


def simple(count: int = 50) -> list[int | None]:
    """Pictures in the order in which they are shown."""
    return [number * STEP for number in range(count)]


def reordered(count: int = 50) -> list[int | None]:
    """Pictures as an encoder with two B-frames stores them: 0 3 1 2 6 4 5 ..."""
    places = [0]
    for group in range(1, count, 3):
        places += [place for place in (group + 2, group, group + 1) if place < count]
    return [place * STEP for place in places]


@pytest.mark.parametrize("good", [simple(), reordered(), simple(1), reordered(2), []])
def test_good_times_stay_as_they_are(good: list[int | None]) -> None:
    assert presentation_times(good, span=len(good) * STEP) == good
    assert presentation_times(good) == good


@pytest.mark.parametrize("made", [simple, reordered])
@pytest.mark.parametrize("place", [0, 1, 20, 48, 49])
@pytest.mark.parametrize("wrong", [HOUR, -HOUR, 30 * TICKS, None])
def test_one_bad_time_is_derived_from_the_others(made, place: int, wrong: int | None) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 a function of this module
    good = made()
    times = list(good)
    times[place] = None if wrong is None else (times[place] or 0) + wrong
    found = presentation_times(times, span=50 * STEP)
    assert found[:place] + found[place + 1 :] == good[:place] + good[place + 1 :]
    assert found[place] == good[place]


@pytest.mark.parametrize("made", [simple, reordered])
def test_a_repeated_time_is_moved_to_the_free_place(made) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 a function of this module
    good = made()
    times = list(good)
    later = times.index(21 * STEP)
    times[later] = 20 * STEP
    assert presentation_times(times, span=50 * STEP) == good


def test_a_true_hole_costs_nothing() -> None:
    times = [
        time + (40 * TICKS if place >= 25 else 0)
        for place, time in enumerate(range(0, 50 * STEP, STEP))
    ]
    assert presentation_times(times) == times


def test_slides_of_seconds_are_no_fault() -> None:
    times: list[int | None] = [0, STEP, 2 * STEP, 5 * TICKS, 5 * TICKS + STEP, 9 * TICKS]
    assert presentation_times(times, span=10 * TICKS) == times


def test_without_presentation_times_the_decode_times_are_used() -> None:
    assert presentation_times([None] * 50, simple(), span=50 * STEP) == simple()


@pytest.mark.parametrize("given", [None, 7])
def test_without_any_time_pictures_are_spread_over_the_segment(given: int | None) -> None:
    found = presentation_times([given] * 50, span=50 * STEP)
    assert found == simple()


@pytest.mark.parametrize("made", [simple, reordered])
def test_decode_times_increase_and_precede(made) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 a function of this module
    times = made()
    decoding = decode_times(times)
    assert all(before < after for before, after in pairwise(decoding))
    assert all(dts <= pts for dts, pts in zip(decoding, times, strict=True))


def test_bad_times_of_sound_follow_the_packet_before() -> None:
    good = [number * 1920 for number in range(90)]
    times: list[int | None] = [*good]
    times[0], times[10], times[50], times[89] = None, HOUR, None, -HOUR
    assert sequential_times(times, [1920] * 90, span=2 * TICKS) == good


@pytest.mark.parametrize(
    ("ticks", "origin", "expected"),
    [(10, 5, 5), (5, WRAP - 5, 10), (WRAP - 5, 5, -10), (WRAP + 7, 5, 2), (-5, 5, -10)],
)
def test_a_wrap_is_undone(ticks: int, origin: int, expected: int) -> None:
    assert unwrap(ticks, origin) == expected


def test_whatever_comes_every_packet_gets_a_time_of_its_own() -> None:
    chance = random.Random(1)
    for _ in range(300):
        count = chance.randrange(40)
        times = [
            chance.choice([None, 0, place * STEP, chance.randrange(-WRAP, WRAP)])
            for place in range(count)
        ]
        span = chance.choice([None, 1, count * STEP + 1])
        found = presentation_times(times, times, span=span)
        assert len(found) == len(set(found)) == count
        assert len(sequential_times(times, [STEP] * count, span=span)) == count
        assert len(set(decode_times(found))) == count
