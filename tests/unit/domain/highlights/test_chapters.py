"""Chapters cover a stream from its start to its end, each second once."""

from __future__ import annotations

from itertools import pairwise
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from domain.highlights.chapters import Chapter, ChapterKind, ChapterMoment, chapters_of


def moment(start: float, end: float, title: str = "") -> ChapterMoment:
    return ChapterMoment(highlight_id=uuid4(), title=title, start=start, end=end, score=0.8)


def shown(chapters: tuple[Chapter, ...]) -> list[tuple[float, float, str]]:
    return [(each.start, each.end, each.title or each.kind.value) for each in chapters]


def test_what_lies_between_highlights_is_a_chapter() -> None:
    found = chapters_of([moment(50, 60, "goal"), moment(10, 20, "save")], end=90)
    assert shown(found) == [
        (0, 10, "between"),
        (10, 20, "save"),
        (20, 50, "between"),
        (50, 60, "goal"),
        (60, 90, "between"),
    ]


def test_a_highlight_begins_where_an_overlapping_one_ends() -> None:
    found = chapters_of([moment(0, 20, "a"), moment(18, 30, "b")], end=30)
    assert shown(found) == [(0, 20, "a"), (20, 30, "b")]


def test_a_highlight_inside_another_is_left_out() -> None:
    assert shown(chapters_of([moment(0, 20, "a"), moment(5, 10, "b")], end=20)) == [(0, 20, "a")]


def test_a_stream_without_highlights_is_one_chapter() -> None:
    assert shown(chapters_of([], end=30)) == [(0, 30, "between")]
    assert chapters_of([], end=0) == ()


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 60))),
    st.floats(0, 1100),
)
def test_every_second_belongs_to_one_chapter(spans: list[tuple[float, float]], end: float) -> None:
    chapters = chapters_of([moment(start, start + length) for start, length in spans], end=end)
    assert all(before.end == after.start for before, after in pairwise(chapters))
    if chapters:
        assert (chapters[0].start, chapters[-1].end) == (0, end)
    assert all(each.end > each.start for each in chapters)
    assert all((each.moment is None) == (each.kind is ChapterKind.BETWEEN) for each in chapters)
