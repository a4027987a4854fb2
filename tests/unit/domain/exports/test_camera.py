"""A crop follows the action without haste, and never hesitates."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.exports.camera import LONGEST_MEAN, REST, STEP, CameraPath, Shot, plan_path

SHARE = 0.316
STRIPS = 48
NOTHING = (0.0,) * STRIPS


def reading(place: float) -> tuple[float, ...]:
    """Something that moves around a place."""
    return tuple(
        max(0.0, 1 - abs((strip + 0.5) / STRIPS - place) / 0.06) for strip in range(STRIPS)
    )


def shot(place: Callable[[float], float], *, start: float = 0.0, seconds: float = 12.0) -> Shot:
    steps = round(seconds / STEP)
    return Shot(
        start=start, readings=tuple(reading(place(number * STEP)) for number in range(steps))
    )


def sampled(path: CameraPath, *, start: float = 0.0, seconds: float = 12.0) -> list[float]:
    return [path.center(start + number / 25) for number in range(round(seconds * 25))]


def mean_change(centers: list[float]) -> float:
    return sum(abs(b - a) for a, b in pairwise(centers)) / max(1, len(centers) - 1)


def shortest_rest(centers: list[float], rate: float = 25.0) -> float:
    """Return the seconds between the closest moves in opposite directions."""
    closest, last = math.inf, (0.0, 0)
    for number, (before, after) in enumerate(pairwise(centers)):
        step = after - before
        if abs(step) < 1e-9:
            continue
        if step * last[0] < 0:
            closest = min(closest, (number - last[1]) / rate)
        last = step, number
    return closest


@pytest.mark.parametrize(
    "place",
    [
        lambda at: 0.1 + 0.8 * min(1.0, at / 8),
        lambda at: 0.5 + 0.35 * math.sin(2 * math.pi * at / 10),
        lambda at: 0.2 + 0.6 * min(1.0, max(0.0, (at - 5) / 2)),
    ],
    ids=["crosses", "swings", "sprints"],
)
def test_the_action_stays_in_the_crop(place: Callable[[float], float]) -> None:
    path = plan_path([shot(place)], share=SHARE)
    inside = [
        abs(center - place(number / 25)) <= SHARE / 2 for number, center in enumerate(sampled(path))
    ]
    assert sum(inside) >= 0.95 * len(inside)
    assert mean_change(sampled(path)) <= 0.005
    assert shortest_rest(sampled(path)) >= REST


def test_without_action_the_crop_rests_in_the_middle() -> None:
    path = plan_path([Shot(start=0.0, readings=(NOTHING,) * 20)], share=SHARE)
    assert sampled(path, seconds=5.0) == pytest.approx([0.5] * 125, abs=0.01)


def test_action_too_fast_to_follow_moves_the_crop_seldom() -> None:
    path = plan_path([shot(lambda at: 0.5 + 0.4 * math.sin(2 * math.pi * at))], share=SHARE)
    assert mean_change(sampled(path)) * 25 <= LONGEST_MEAN


def test_a_cut_resets_the_crop_at_once() -> None:
    path = plan_path(
        [shot(lambda _: 0.2, seconds=3.0), shot(lambda _: 0.8, start=3.0, seconds=3.0)],
        share=SHARE,
    )
    assert path.center(2.99) == pytest.approx(0.2, abs=0.08)
    assert path.center(3.0) == pytest.approx(0.8, abs=0.08)


@settings(max_examples=40, deadline=None)
@given(
    places=st.lists(st.floats(0.0, 1.0) | st.none(), min_size=1, max_size=60),
    share=st.floats(0.1, 0.98),
)
def test_no_action_makes_the_crop_fast_hesitant_or_leave_the_picture(
    places: list[float | None], share: float
) -> None:
    readings = tuple(NOTHING if place is None else reading(place) for place in places)
    path = plan_path([Shot(start=0.0, readings=readings)], share=share)
    centers = sampled(path, seconds=len(places) * STEP)
    assert all(share / 2 - 1e-6 <= each <= 1 - share / 2 + 1e-6 for each in centers)
    assert sum(abs(b - a) for a, b in pairwise(path.knots[0])) <= (
        LONGEST_MEAN * STEP * max(1, len(places) - 1) + 1e-6
    )
    assert max((abs(b - a) * 25 for a, b in pairwise(centers)), default=0.0) <= 0.4
    assert shortest_rest(centers) >= REST - 0.05
