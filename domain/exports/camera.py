"""The path of a crop that follows the action: smooth, never fast, and without hesitation.

The whole film is known when its path is planned, so the crop sets out before the action arrives.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from pydantic import NonNegativeFloat

from domain.model import Model

STEP: Final = 0.25
"""Seconds between two knots of a path, and between two readings of a shot."""

LONGEST_MEAN: Final = 0.12
"""Mean speed of the crop's center, at most, in widths of the picture a second.

It is 0.5 % of the width for each frame at 24 frames a second."""

REST: Final = 1.0
"""Seconds for which a crop rests, at least, before it moves back."""

_GRID: Final = 1 / 64
"""Distance of two places where the crop's center may be, in widths of the picture."""

_FASTEST: Final = 6
"""Places that the crop moves in a step, at most: 0.375 widths of the picture a second."""

_SMOOTHINGS: Final = 2
# Each smoothing begins a move one step earlier and ends it one step later.
_REST_STEPS: Final = round(REST / STEP) + 2 * _SMOOTHINGS
_INSIDE: Final = 0.8
"""Part of the crop in which action counts as seen: near its edges, half of it is cut off."""

_FRICTION: Final = 2.0
"""Cost of a move over a whole picture, in steps without any action in the crop."""

_CENTERED: Final = 0.02
"""Cost of a step at an edge of the picture: without any action, the crop is in the middle."""

_MOST_PLANS: Final = 12


class Shot(Model):
    """What happens in a piece of film without a cut.

    Attributes:
        start: seconds on the film's clock.
        readings: for each step, how much moves in each strip of the picture, in order.
    """

    start: NonNegativeFloat
    readings: tuple[tuple[float, ...], ...]


class CameraPath(Model):
    """Where the center of a crop is, as a part of the picture.

    Attributes:
        starts: of the shots, in seconds; the crop jumps there.
        knots: the center at each step of each shot, between which it moves evenly.
    """

    starts: tuple[float, ...]
    knots: tuple[tuple[float, ...], ...]

    def center(self, at: float) -> float:
        """Return the center of the crop at an instant (s)."""
        number = max(0, bisect_right(self.starts, at) - 1)
        knots = self.knots[number]
        place = min(max(0.0, (at - self.starts[number]) / STEP), len(knots) - 1.0)
        first = min(int(place), max(0, len(knots) - 2))
        rest = place - first
        return knots[first] * (1 - rest) + knots[min(first + 1, len(knots) - 1)] * rest


def plan_path(shots: Sequence[Shot], *, share: float) -> CameraPath:
    """Return the path of a crop through some shots.

    Args:
        shots: at least one, in order.
        share: the crop's width as a part of the picture's, below 1.
    """
    typical = _typical([sum(reading) for shot in shots for reading in shot.readings])
    return CameraPath(
        starts=tuple(shot.start for shot in shots),
        knots=tuple(_Planner(shot.readings, share, typical).knots() for shot in shots),
    )


def _typical(totals: Sequence[float]) -> float:
    moving = sorted(each for each in totals if each > 0)
    return moving[len(moving) // 2] if moving else 1.0


class _Planner:
    """Finds the cheapest path through one shot, by dynamic programming."""

    def __init__(self, readings: Sequence[Sequence[float]], share: float, typical: float) -> None:
        count = max(1, round((1 - share) / _GRID) + 1)
        travel = (1 - share) / max(1, count - 1)
        self._centers = [share / 2 + place * travel for place in range(count)]
        self._travel = travel
        self._costs = [self._costs_of(reading, share, typical) for reading in readings]

    def knots(self) -> tuple[float, ...]:
        """Return the center at each step; the path is calmed until its mean speed is allowed."""
        if not self._costs:
            return (0.5,)
        friction = _FRICTION
        for _ in range(_MOST_PLANS):
            centers = [self._centers[place] for place in self._cheapest(friction)]
            moved = sum(abs(b - a) for a, b in pairwise(centers))
            if moved <= LONGEST_MEAN * STEP * max(1, len(centers) - 1):
                return tuple(_smooth(centers))
            friction *= 2
        return (sum(centers) / len(centers),) * len(centers)

    def _costs_of(self, reading: Sequence[float], share: float, typical: float) -> list[float]:
        """Return what it costs to have the crop at each place during a step."""
        total = sum(reading)
        weight = total / (total + typical)
        sums = [0.0]
        for each in reading:
            sums.append(sums[-1] + each)
        half = share * _INSIDE / 2
        costs = []
        for center in self._centers:
            seen = _sum_to(sums, center + half) - _sum_to(sums, center - half)
            missed = 1 - seen / total if total > 0 else 0.0
            costs.append(weight * missed + _CENTERED * abs(center - 0.5))
        return costs

    def _cheapest(self, friction: float) -> list[int]:
        """Return the place at each step of the cheapest path.

        A state is the direction of the last move, the steps that the crop has rested since, and
        its place. Only a crop that has rested for long enough may turn.
        """
        fee = friction * self._travel
        best = [[[math.inf] * len(self._centers)] * _REST_STEPS + [self._costs[0]] for _ in _WAYS]
        turns = []
        for costs in self._costs[1:]:
            turn = _Turn(best, costs, fee)
            best = turn.costs
            turns.append(turn)
        state = min(
            (
                (way, rested, place)
                for way, layers in enumerate(best)
                for rested, layer in enumerate(layers)
                for place in range(len(layer))
            ),
            key=lambda each: best[each[0]][each[1]][each[2]],
        )
        places = [state[2]]
        for turn in reversed(turns):
            state = turn.origin(*state)
            places.append(state[2])
        return places[::-1]


_Costs = list[list[list[float]]]
"""Cost of the best path to each state: by way, by steps rested, by place."""

_WAYS: Final = (-1, 1)


class _Turn:
    """One step of all paths.

    Attributes:
        costs: of the best path to each state after the step.
    """

    def __init__(self, before: _Costs, costs: Sequence[float], fee: float) -> None:
        self._before = before
        self.costs: _Costs = []
        self._moved: list[list[tuple[int, int, int]]] = []
        for way, sign in enumerate(_WAYS):
            layers, others = before[way], before[1 - way]
            # From where a move in this direction may begin, and at what cost.
            begin = [min(each) for each in zip(*layers, others[-1], strict=True)]
            arrivals, origins = [], []
            for place, cost in enumerate(costs):
                reach = range(1, _FASTEST + 1)
                starts = [(place - sign * by, by) for by in reach]
                found = min(
                    (
                        (begin[start] + fee * by, start)
                        for start, by in starts
                        if 0 <= start < len(costs)
                    ),
                    default=(math.inf, place),
                )
                arrivals.append(found[0] + cost)
                origins.append(self._began(way, found[1], begin[found[1]]))
            rested = [
                [c + cost for c, cost in zip(layer, costs, strict=True)] for layer in layers[:-2]
            ]
            last = [
                min(a, b) + cost for a, b, cost in zip(layers[-2], layers[-1], costs, strict=True)
            ]
            self.costs.append([arrivals, *rested, last])
            self._moved.append(origins)

    def _began(self, way: int, place: int, cost: float) -> tuple[int, int, int]:
        """Return the state from which a move began, by its cost."""
        for rested, layer in enumerate(self._before[way]):
            if layer[place] == cost:
                return way, rested, place
        return 1 - way, _REST_STEPS, place

    def origin(self, way: int, rested: int, place: int) -> tuple[int, int, int]:
        """Return the state before this step of the best path to a state after it."""
        if rested == 0:
            return self._moved[way][place]
        layers = self._before[way]
        if rested == _REST_STEPS and layers[-1][place] <= layers[-2][place]:
            return way, _REST_STEPS, place
        return way, rested - 1, place


def _sum_to(sums: Sequence[float], part: float) -> float:
    """Return the sum of a reading from its beginning to a part of the picture."""
    place = min(max(0.0, part), 1.0) * (len(sums) - 1)
    first = min(int(place), len(sums) - 2)
    return sums[first] + (sums[first + 1] - sums[first]) * (place - first)


def _smooth(centers: Sequence[float]) -> list[float]:
    """Return a path that gathers and loses speed over some steps."""
    smooth = list(centers)
    for _ in range(_SMOOTHINGS):
        wide = [smooth[0], *smooth, smooth[-1]]
        smooth = [
            (before + 2 * here + after) / 4
            for before, here, after in zip(wide, wide[1:], wide[2:], strict=False)
        ]
    return smooth
