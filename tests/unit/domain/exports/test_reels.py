"""A reel holds the best clips that fit, none of the same seconds, in order."""

from __future__ import annotations

from itertools import combinations, pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exports.reels import (
    ReelOrder,
    ReelPart,
    Transition,
    TransitionKind,
    chapters_of_reel,
    choose_parts,
    starts_of,
)

DISSOLVE = Transition(kind=TransitionKind.DISSOLVE, duration=1.0)


def part(start: float, duration: float, score: float, *, stream: UUID | None = None) -> ReelPart:
    return ReelPart(
        stream_id=stream,
        highlight_id=uuid4(),
        clip_id=UUID(int=round(start * 1000)),
        clip_key="x.mp4",
        title=f"{start:g}",
        score=score,
        start=start,
        duration=duration,
    )


def titles(parts: tuple[ReelPart, ...]) -> list[str]:
    return [each.title for each in parts]


def test_two_shorter_clips_may_be_worth_more_than_the_best() -> None:
    clips = [part(0, 20, 0.9), part(100, 10, 0.6), part(200, 10, 0.5)]
    assert titles(choose_parts(clips, seconds=20, order=ReelOrder.TIME)) == ["100", "200"]


def test_no_two_clips_show_the_same_seconds() -> None:
    clips = [part(0, 10, 0.5), part(8, 10, 0.9), part(18, 10, 0.6)]
    assert titles(choose_parts(clips, seconds=60, order=ReelOrder.TIME)) == ["8", "18"]


def test_the_best_come_first_if_asked() -> None:
    clips = [part(0, 5, 0.5), part(10, 5, 0.9), part(20, 5, 0.7)]
    assert titles(choose_parts(clips, seconds=60, order=ReelOrder.SCORE)) == ["10", "20", "0"]


def test_nothing_fits_into_too_few_seconds() -> None:
    assert choose_parts([part(0, 20, 0.9)], seconds=10, order=ReelOrder.TIME) == ()


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(1, 100)),
        max_size=8,
        unique_by=lambda each: each[0],
    ),
    st.integers(5, 60),
)
def test_no_other_choice_has_a_higher_score(
    clips: list[tuple[int, int, int]], seconds: int
) -> None:
    parts = [part(start, length, score / 100) for start, length, score in clips]
    chosen = choose_parts(parts, seconds=seconds, order=ReelOrder.TIME)
    assert sum(each.duration for each in chosen) <= seconds
    assert all(one.end <= other.start for one, other in pairwise(chosen))

    def fits(some: tuple[ReelPart, ...]) -> bool:
        ordered = sorted(some, key=lambda each: each.start)
        return sum(each.duration for each in some) <= seconds and all(
            one.end <= other.start for one, other in pairwise(ordered)
        )

    best = max(
        sum(each.score for each in some)
        for count in range(len(parts) + 1)
        for some in combinations(parts, count)
        if fits(some)
    )
    assert sum(each.score for each in chosen) == pytest.approx(best)


def test_chapters_follow_each_other_in_the_file() -> None:
    chapters = chapters_of_reel([part(60, 5, 0.5), part(10, 7, 0.9)])
    assert [(each.start, each.end, each.title) for each in chapters] == [
        (0.0, 5.0, "60"),
        (5.0, 12.0, "10"),
    ]


def test_clips_that_overlap_in_a_transition_take_less_of_the_seconds() -> None:
    clips = [part(0, 10, 0.9), part(100, 10, 0.8), part(200, 10, 0.7)]
    cut = choose_parts(clips, seconds=28, order=ReelOrder.TIME)
    dissolved = choose_parts(clips, seconds=28, order=ReelOrder.TIME, transition=DISSOLVE)
    assert titles(cut) == ["0", "100"]
    assert titles(dissolved) == ["0", "100", "200"]
    assert starts_of(dissolved, DISSOLVE) == (0, 9, 18, 28)


def test_a_clip_that_is_all_transition_is_left_out() -> None:
    clips = [part(0, 10, 0.5), part(100, 2, 0.9)]
    chosen = choose_parts(clips, seconds=60, order=ReelOrder.TIME, transition=DISSOLVE)
    assert titles(chosen) == ["0"]


def test_a_chapter_begins_where_its_clip_appears_and_ends_where_the_next_one_does() -> None:
    chapters = chapters_of_reel([part(60, 5, 0.5), part(10, 7, 0.9)], DISSOLVE)
    assert [(each.start, each.end) for each in chapters] == [(0.0, 4.0), (4.0, 11.0)]


def test_the_same_seconds_of_two_streams_are_both_shown_one_stream_after_the_other() -> None:
    one, other = uuid4(), uuid4()
    clips = [
        part(0, 10, 0.5, stream=other),
        part(5, 10, 0.6, stream=one),
        part(8, 10, 0.9, stream=one),
        part(40, 10, 0.4, stream=one),
    ]
    chosen = choose_parts(clips, seconds=60, order=ReelOrder.TIME, streams=(one, other))
    assert [(each.title, each.stream_id) for each in chosen] == [
        ("8", one),
        ("40", one),
        ("0", other),
    ]
