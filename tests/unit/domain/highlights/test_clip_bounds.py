from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.highlights.selection.timeline import PEAK_MARGIN, SEARCH, clip_bounds
from domain.profiles.model import ClipShape

SHAPE = ClipShape(pre_roll=2.0, post_roll=1.5, min_length=6.0, max_length=40.0)
SHAPES = st.builds(
    ClipShape,
    pre_roll=st.floats(0, 5),
    post_roll=st.floats(0, 5),
    min_length=st.floats(1, 15),
    max_length=st.floats(15, 60),
)
POINTS = st.lists(st.floats(0, 320), max_size=8)


@st.composite
def moments(draw: st.DrawFn) -> tuple[float, float, float]:
    start, peak, end = sorted(draw(st.tuples(*[st.floats(0, 300)] * 3)))
    return start, peak, end


@settings(max_examples=300)
@given(moments(), SHAPES, POINTS, POINTS, st.tuples(st.floats(0, 50), st.floats(0, 50)))
def test_a_clip_holds_its_peak_within_what_is_available_and_within_its_lengths(
    moment: tuple[float, float, float],
    shape: ClipShape,
    safe_starts: list[float],
    safe_ends: list[float],
    around: tuple[float, float],
) -> None:
    start, peak, end = moment
    available = (max(0.0, peak - around[0]), peak + around[1])
    clip = clip_bounds(
        start=start,
        peak=peak,
        end=end,
        shape=shape,
        safe_starts=safe_starts,
        safe_ends=safe_ends,
        available=available,
    )
    assert available[0] <= clip.start <= peak <= clip.end <= available[1]
    length = clip.end - clip.start
    assert length <= shape.max_length + 1e-9
    assert length >= min(shape.min_length, available[1] - available[0]) - 1e-9
    assert abs(clip.start_moved) <= SEARCH
    assert abs(clip.end_moved) <= SEARCH


def test_a_peak_that_is_the_last_instant_there_is_stays_in_the_clip_to_the_last_bit() -> None:
    shape = ClipShape(pre_roll=0.0, post_roll=0.0, min_length=1.0, max_length=24.353419072498994)
    clip = clip_bounds(start=55.0, peak=216.48, end=256.0, shape=shape, available=(175.0, 216.48))
    assert clip.end == 216.48


def test_rolls_are_added_around_the_moment() -> None:
    clip = clip_bounds(start=100.0, peak=104.0, end=108.0, shape=SHAPE)
    assert clip == (98.0, 109.5, 0.0, 0.0)


def test_bounds_move_to_the_nearest_safe_points_in_reach() -> None:
    clip = clip_bounds(
        start=100.0,
        peak=104.0,
        end=108.0,
        shape=SHAPE,
        safe_starts=(95.0, 97.2, 99.5),
        safe_ends=(108.5, 110.2, 112.0),
    )
    assert clip[:2] == (97.2, 110.2)
    assert (clip.start_moved, clip.end_moved) == pytest.approx((-0.8, 0.7))


def test_safe_points_inside_the_moment_or_out_of_reach_are_left_alone() -> None:
    clip = clip_bounds(
        start=100.0,
        peak=104.0,
        end=108.0,
        shape=SHAPE.model_copy(update={"pre_roll": 0.5, "post_roll": 0.5}),
        safe_starts=(97.0, 100.4),
        safe_ends=(107.6, 111.0),
    )
    assert clip[:2] == (99.5, 108.5)


def test_a_safe_cut_keeps_its_distance_from_the_peak() -> None:
    shape = ClipShape(pre_roll=0.0, post_roll=0.0, min_length=1.0, max_length=40.0)
    clip = clip_bounds(
        start=100.0,
        peak=100.0,
        end=110.0,
        shape=shape,
        safe_starts=(100.0 - PEAK_MARGIN / 2, 100.0 - PEAK_MARGIN),
    )
    assert clip.start == 100.0 - PEAK_MARGIN


def test_a_moment_that_is_too_long_is_cut_around_its_peak() -> None:
    clip = clip_bounds(start=0.0, peak=100.0, end=200.0, shape=SHAPE)
    assert clip.end - clip.start == pytest.approx(40.0)
    assert clip.start == pytest.approx(100.0 - 40.0 * 2 / 3)


def test_a_short_moment_grows_mostly_backwards_so_that_its_clip_is_not_delayed() -> None:
    shape = ClipShape(pre_roll=0.0, post_roll=0.0, min_length=9.0, max_length=40.0)
    clip = clip_bounds(start=100.0, peak=100.0, end=100.0, shape=shape)
    assert clip[:2] == pytest.approx((94.0, 103.0))


def test_near_the_edge_of_what_is_available_a_short_moment_grows_to_the_other_side() -> None:
    shape = ClipShape(pre_roll=0.0, post_roll=0.0, min_length=9.0, max_length=40.0)
    clip = clip_bounds(start=1.0, peak=1.0, end=1.0, shape=shape, available=(0.0, 100.0))
    assert clip[:2] == pytest.approx((0.0, 9.0))


def test_a_peak_without_media_has_no_clip() -> None:
    with pytest.raises(ValueError, match="lies outside"):
        clip_bounds(start=1.0, peak=2.0, end=3.0, shape=SHAPE, available=(5.0, 9.0))
