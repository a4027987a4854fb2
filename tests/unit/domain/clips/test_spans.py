"""What can be cut of a span that a tenant asks for: all of it, its parts, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clips.spans import (
    AroundTime,
    ClipPlan,
    ClipRefusedError,
    LastSeconds,
    MediaGoneError,
    MediaMissingError,
    MediaNotReadyError,
    NoWallClockError,
    OnGap,
    StreamSpan,
    locate_span,
    missing_parts,
    plan_span,
)
from domain.media.segments import SegmentRef
from tests.factories.clips import STREAM, TENANT, WHEN, broken_media, segment, segments_of

REQUEST = UUID(int=7)


def plan(
    start: float,
    end: float,
    segments: Sequence[SegmentRef],
    *,
    on_gap: OnGap = OnGap.REFUSE,
    ended: bool = False,
) -> ClipPlan:
    return plan_span(
        StreamSpan(start=start, end=end),
        segments,
        tenant_id=TENANT,
        stream_id=STREAM,
        request_id=REQUEST,
        on_gap=on_gap,
        ended=ended,
    )


def spans(plan: ClipPlan) -> list[tuple[float, float]]:
    return [(clip.start, clip.end) for clip in plan.clips]


def test_a_span_is_cut_exactly_out_of_the_segments_that_it_touches() -> None:
    (clip,) = plan(3.5, 7.25, segments_of((0.0, 20.0))).clips
    assert (clip.start, clip.end, clip.highlight_id) == (3.5, 7.25, None)
    assert [each.start for each in clip.segments] == [2.0, 4.0, 6.0]


def test_segments_before_the_span_are_taken_if_its_first_picture_depends_on_them() -> None:
    segments = [
        each.model_copy(update={"starts_with_keyframe": number == 0, "has_keyframe": number == 0})
        for number, each in enumerate(segments_of((0.0, 20.0)))
    ]
    (clip,) = plan(5.0, 7.0, segments).clips
    assert [each.start for each in clip.segments] == [0.0, 2.0, 4.0, 6.0]


def test_all_that_is_kept_can_be_cut_from_its_first_to_its_last_instant() -> None:
    assert spans(plan(4.0, 20.0, segments_of((4.0, 20.0)))) == [(4.0, 20.0)]


def test_a_discontinuity_without_missing_media_does_not_divide_a_clip() -> None:
    segments = [
        each.model_copy(update={"discontinuity_sequence": int(each.start >= 4.0)})
        for each in segments_of((0.0, 8.0))
    ]
    assert spans(plan(2.0, 6.0, segments)) == [(2.0, 6.0)]


def test_media_that_was_deleted_is_refused_with_what_is_kept() -> None:
    with pytest.raises(MediaGoneError, match=r"10\.000-20\.000 s"):
        plan(9.5, 12.0, segments_of((10.0, 20.0)))


def test_the_future_is_refused_with_what_is_stored() -> None:
    with pytest.raises(MediaNotReadyError, match=r"10\.000-20\.000 s"):
        plan(15.0, 20.5, segments_of((10.0, 20.0)))


def test_what_lies_beyond_the_end_of_an_ended_stream_never_comes() -> None:
    with pytest.raises(MediaMissingError, match="end of the stream"):
        plan(15.0, 20.5, segments_of((10.0, 20.0)), ended=True)


def test_a_gap_is_refused_with_its_place() -> None:
    with pytest.raises(MediaMissingError, match=r"media is missing: 4\.000-8\.000 s"):
        plan(2.0, 10.0, segments_of((0.0, 4.0), (8.0, 12.0)))


def test_a_span_is_split_at_a_gap_if_asked() -> None:
    made = plan(2.0, 10.0, segments_of((0.0, 4.0), (8.0, 12.0)), on_gap=OnGap.SPLIT)
    assert spans(made) == [(2.0, 4.0), (8.0, 10.0)]
    assert made.missing == (StreamSpan(start=4.0, end=8.0),)
    assert len({clip.id for clip in made.clips}) == 2


def test_a_part_too_short_for_a_clip_is_said_to_be_missing() -> None:
    made = plan(3.5, 10.0, segments_of((0.0, 4.0), (8.0, 12.0)), on_gap=OnGap.SPLIT)
    assert spans(made) == [(8.0, 10.0)]
    assert made.missing == (StreamSpan(start=3.5, end=8.0),)


def test_a_span_that_lies_in_a_gap_cannot_be_split() -> None:
    with pytest.raises(MediaMissingError):
        plan(5.0, 7.0, segments_of((0.0, 4.0), (8.0, 12.0)), on_gap=OnGap.SPLIT)


def test_a_repeated_request_names_the_same_clips() -> None:
    segments = segments_of((0.0, 20.0))
    assert plan(2.0, 6.0, segments).clips[0].id == plan(2.0, 6.0, segments).clips[0].id


@given(broken_media(), st.floats(0.0, 60.0), st.floats(1.0, 40.0), st.sampled_from(OnGap))
def test_no_second_is_lost_without_saying_so(
    segments: list[SegmentRef], start: float, length: float, on_gap: OnGap
) -> None:
    if not segments:
        return
    try:
        made = plan(start, start + length, segments, on_gap=on_gap)
    except ClipRefusedError:
        return
    shown = sum(clip.duration for clip in made.clips)
    missing = sum(each.duration for each in made.missing)
    assert shown + missing == pytest.approx(length, abs=0.05)
    assert on_gap is OnGap.SPLIT or not made.missing


def test_the_last_seconds_end_with_the_last_segment() -> None:
    assert locate_span(LastSeconds(seconds=5.0), segments_of((0.0, 20.0))) == StreamSpan(
        start=15.0, end=20.0
    )


def clocked() -> list[SegmentRef]:
    """Segments at 0, 2 and, after a gap, 10 s; the wall clock runs with them."""
    return [
        segment(number, start, program_date_time=WHEN + timedelta(seconds=start))
        for number, start in enumerate((0.0, 2.0, 10.0))
    ]


@pytest.mark.parametrize(
    ("after", "position"), [(3.5, 3.5), (11.0, 11.0), (6.0, 6.0), (30.0, 30.0), (-5.0, -5.0)]
)
def test_an_instant_is_found_by_the_wall_clock(after: float, position: float) -> None:
    wanted = AroundTime(at=WHEN + timedelta(seconds=after), before=1.0, after=2.0)
    span = locate_span(wanted, clocked())
    assert (span.start, span.end) == (position - 1.0, position + 2.0)


def test_the_wall_clock_counts_where_it_jumps() -> None:
    jumped = [
        segment(0, 0.0, program_date_time=WHEN),
        segment(1, 2.0, program_date_time=WHEN + timedelta(hours=1)),
    ]
    wanted = AroundTime(at=WHEN + timedelta(hours=1, seconds=1), before=0.5, after=0.5)
    assert locate_span(wanted, jumped) == StreamSpan(start=2.5, end=3.5)


def test_a_stream_without_a_wall_clock_says_so() -> None:
    with pytest.raises(NoWallClockError):
        locate_span(AroundTime(at=WHEN, before=1.0, after=1.0), segments_of((0.0, 4.0)))


@pytest.mark.parametrize(
    ("start", "end", "missing"),
    [
        (4.0, 8.0, []),
        (3.995, 8.005, []),
        (3.9, 8.0, [(3.9, 4.0)]),
        (4.0, 8.2, [(8.0, 8.2)]),
        (0.0, 2.0, [(0.0, 2.0)]),
    ],
)
def test_what_is_missing_of_a_span_is_named_to_a_hundredth_of_a_second(
    start: float, end: float, missing: list[tuple[float, float]]
) -> None:
    stored = [each for each in segments_of((4.0, 8.0)) if each.end > start and each.start < end]
    found = missing_parts(StreamSpan(start=start, end=end), stored)
    assert [(each.start, each.end) for each in found] == missing


def test_a_hole_between_stored_segments_is_missing() -> None:
    stored = [each for each in segments_of((0.0, 8.0)) if each.start != 4.0]
    found = missing_parts(StreamSpan(start=1.0, end=7.0), stored)
    assert [(each.start, each.end) for each in found] == [(4.0, 6.0)]
