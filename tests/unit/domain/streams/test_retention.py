"""Which stored media may go while its stream is live."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.media.segments import StoredObject, Window, media_to_evict
from domain.streams.ledger import KEPT_GAPS, keep_from, latest_gaps, segments_from
from tests.factories.clips import gap, segments_of, window

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


def stored(stream: str, *ages: float, tenant: str = "a", size: int = 10) -> list[StoredObject]:
    return [
        StoredObject(tenant=tenant, stream=stream, key=f"{stream}/{age:g}", size=size, age=age)
        for age in ages
    ]


def shed(objects: list[StoredObject], target: int) -> list[str]:
    return [each.key for each in media_to_evict(objects, target=target)]


def test_a_full_store_sheds_what_streams_left_behind_first_and_oldest_first() -> None:
    objects = stored("live", 5000.0, 100.0, 1.0) + stored("over", 9000.0, 2000.0, tenant="b")
    assert shed(objects, 10) == ["over/9000"]
    assert shed(objects, 20) == ["over/9000", "over/2000"]
    assert shed(objects, 30) == ["over/9000", "over/2000", "live/5000"]


def test_a_full_store_never_sheds_what_analysis_is_about_to_read() -> None:
    assert shed(stored("live", 90.0, 61.0, 59.0, 0.0), 1000) == ["live/90", "live/61"]


def test_the_tenant_that_holds_most_gives_up_most() -> None:
    large = stored("big", *(float(age) for age in range(100, 110)), 1.0)
    small = stored("small", 500.0, 400.0, 1.0, tenant="b")
    assert shed(large + small, 70) == [f"big/{age}" for age in range(109, 102, -1)]
    assert "small/500" in shed(large + small, 100)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(1, 50), st.floats(0.0, 1e4)
        )
    ),
    st.integers(0, 500),
)
def test_shedding_frees_what_was_asked_or_all_it_may(
    rows: list[tuple[str, str, int, float]], target: int
) -> None:
    objects = [
        StoredObject(tenant=tenant, stream=stream, key=str(number), size=size, age=age)
        for number, (tenant, stream, size, age) in enumerate(rows)
    ]
    gone = media_to_evict(objects, target=target)
    assert len({each.key for each in gone}) == len(gone)
    kept = [each for each in objects if each not in gone]
    if sum(each.size for each in gone) < target:
        assert all(each.age <= 60.0 for each in kept)
    if gone:
        assert sum(each.size for each in gone[:-1]) < target
