"""Which stored media may go while its stream is live."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.media import Window
from domain.retention import KEPT_GAPS, keep_from, latest_gaps, segments_from
from tests.unit.domain.clip_cases import gap, segments_of, window

positions = st.floats(0.0, 1e5)


def test_media_is_kept_until_analysis_is_past_the_horizon() -> None:
    assert keep_from(analyzed=1000.0, horizon=600.0, backlog=(), clip_starts=()) == 400.0


def test_nothing_goes_before_the_horizon_has_passed() -> None:
    assert keep_from(analyzed=100.0, horizon=600.0, backlog=(), clip_starts=()) == 0.0


def test_a_window_that_waits_for_analysis_holds_its_media() -> None:
    late = [window(10), window(11)]
    assert keep_from(analyzed=1000.0, horizon=600.0, backlog=late, clip_starts=()) == 60.0


def test_an_unfinished_clip_holds_its_media() -> None:
    assert keep_from(analyzed=1000.0, horizon=600.0, backlog=(), clip_starts=[90.0, 700.0]) == 90.0


@given(
    analyzed=positions,
    horizon=positions,
    backlog=st.lists(st.integers(0, 1000).map(window), max_size=5),
    clip_starts=st.lists(positions, max_size=5),
)
def test_nothing_that_is_still_needed_is_ever_released(
    analyzed: float, horizon: float, backlog: list[Window], clip_starts: list[float]
) -> None:
    point = keep_from(analyzed=analyzed, horizon=horizon, backlog=backlog, clip_starts=clip_starts)
    assert point >= 0.0
    assert all(point <= start for start in clip_starts)
    assert all(point <= each.start for each in backlog)
    assert point <= max(0.0, analyzed - horizon)


def test_a_segment_is_kept_when_any_of_it_is() -> None:
    kept = segments_from(segments_of((0, 12)), 5.0)
    assert [each.start for each in kept] == [4.0, 6.0, 8.0, 10.0]
    assert segments_from(segments_of((0, 12)), 6.0)[0].start == 6.0


def test_the_latest_gaps_are_remembered() -> None:
    gaps = [gap(float(number), 0.5) for number in range(KEPT_GAPS + 3)]
    assert latest_gaps(gaps) == tuple(gaps[3:])
    assert latest_gaps(gaps[:2]) == tuple(gaps[:2])
