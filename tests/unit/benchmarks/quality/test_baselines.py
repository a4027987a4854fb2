"""The simple methods do what their names say, at their best."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.baselines import UNIFORM, Video, best, spaced_peaks
from benchmarks.quality.metrics import Interval, f1, hit_at_1, relevance_of
from benchmarks.quality.signals import GRID, Curve

_TRUE = (Interval(start=50, end=60), Interval(start=200, end=210))


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=200),
    st.integers(0, 6),
    st.floats(0.5, 20),
)
def test_peaks_keep_their_spacing_and_start_with_the_highest(
    values: list[float], count: int, spacing: float
) -> None:
    curve = np.array(values)
    peaks = spaced_peaks(curve, count, spacing)
    assert len(peaks) <= count
    assert all(abs(a - b) >= spacing for (a, _), (b, _) in combinations(peaks, 2))
    if count:
        assert peaks[0][1] == curve.max()


def _curve(inside: float, outside: float) -> Curve:
    curve = np.full(int(300 / GRID), outside)
    for moment in _TRUE:
        curve[int(moment.start / GRID) : int(moment.end / GRID)] = inside
    return curve


@pytest.mark.parametrize("name", ["loudness peaks", "librosa onsets"])
def test_methods_of_peaks_find_moments_that_simply_stand_out(name: str) -> None:
    (found,) = best(name, [Video(300.0, {name: _curve(-10.0, -30.0)}, _TRUE)], [2])
    assert f1(found.clips, _TRUE) == 1
    assert hit_at_1(found.saliency, relevance_of(_TRUE, 300.0)) == 1


@pytest.mark.parametrize("name", ["scene-cut density", "scenedetect"])
def test_methods_of_density_find_moments_full_of_cuts(name: str) -> None:
    curve = np.zeros(int(300 / GRID))
    for moment in _TRUE:
        curve[int(moment.start / GRID) : int(moment.end / GRID) : 6] = 1.0
    (found,) = best(name, [Video(300.0, {name: curve}, _TRUE)], [2])
    assert f1(found.clips, _TRUE) == 1


def test_an_even_grid_finds_evenly_spaced_moments_and_ranks_none_of_them() -> None:
    true = tuple(Interval(start=30 + 100 * n, end=40 + 100 * n) for n in range(3))
    (found,) = best(UNIFORM, [Video(300.0, {}, true)], [3])
    assert f1(found.clips, true) == 1
    assert len({clip.score for clip in found.clips}) == 1


def test_of_no_clips_nothing_is_found() -> None:
    (found,) = best("loudness peaks", [Video(300.0, {"loudness peaks": _curve(1, 0)}, _TRUE)], [0])
    assert found.clips == ()
    assert len(found.saliency) == 150
