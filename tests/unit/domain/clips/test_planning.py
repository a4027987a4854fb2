"""Which media a clip is cut from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clips.models import ClipSpec
from domain.clips.tracker import (
    LONGEST_LEAD_IN,
    REACH,
    SEAM,
    SHORTEST,
    can_cut,
    plan_clip,
    undamaged_part,
    wants_clip,
)
from domain.highlights.selection import Decision, DecisionStatus
from domain.ids import clip_id
from domain.media.segments import SegmentRef
from tests.factories.clips import STREAM, TENANT, broken_media, decision, segment, segments_of


def plan(wanted: Decision, segments: list[SegmentRef]) -> ClipSpec | None:
    return plan_clip(wanted, segments, tenant_id=TENANT, stream_id=STREAM)


def bounds(wanted: Decision, segments: list[SegmentRef]) -> tuple[float, float] | None:
    spec = plan(wanted, segments)
    return None if spec is None else (spec.start, spec.end)


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (DecisionStatus.PENDING, True),
        (DecisionStatus.CONFIRMED, True),
        (DecisionStatus.RETRACTED, False),
        (DecisionStatus.HELD, False),
        (DecisionStatus.REJECTED, False),
    ],
)
def test_every_visible_highlight_gets_a_clip(status: DecisionStatus, *, wanted: bool) -> None:
    assert wants_clip(decision(status=status)) is wanted


def test_a_clip_waits_for_its_last_second() -> None:
    wanted = decision(peak=10.0, after=4.0)
    assert not can_cut(wanted, media_end=13.9, ended=False)
    assert can_cut(wanted, media_end=14.0, ended=False)


def test_a_stream_that_has_ended_is_waited_for_no_longer() -> None:
    assert can_cut(decision(peak=10.0), media_end=11.0, ended=True)


def test_unbroken_media_is_cut_exactly_as_decided() -> None:
    spec = plan(decision(peak=10.5, before=4.0, after=4.0), segments_of((0, 30)))
    assert spec is not None
    assert (spec.start, spec.end, spec.peak) == (6.5, 14.5, 10.5)
    assert [each.start for each in spec.segments] == [6.0, 8.0, 10.0, 12.0, 14.0]


def test_a_segment_that_only_touches_the_clip_is_not_read() -> None:
    spec = plan(decision(peak=10.0, before=4.0, after=4.0), segments_of((0, 30)))
    assert spec is not None
    assert (spec.segments[0].start, spec.segments[-1].end) == (6.0, 14.0)


def test_a_clip_keeps_to_the_side_of_a_hole_on_which_its_peak_lies() -> None:
    holed = segments_of((0, 8), (12, 30))
    assert bounds(decision(peak=14.0, before=8.0, after=4.0), holed) == (12.0, 18.0)
    assert bounds(decision(peak=6.0, before=4.0, after=8.0), holed) == (2.0, 8.0)


def test_a_peak_just_inside_a_hole_takes_the_nearest_media() -> None:
    holed = segments_of((0, 8), (20, 30))
    spec = plan(decision(peak=9.0, before=6.0, after=3.0), holed)
    assert spec is not None
    assert (spec.start, spec.end, spec.peak) == (3.0, 8.0, 8.0)


def test_a_peak_deep_inside_a_hole_has_no_clip() -> None:
    holed = segments_of((0, 8), (20, 30))
    assert plan(decision(peak=8.0 + REACH + 0.1, before=6.0, after=3.0), holed) is None


def test_no_media_makes_no_clip() -> None:
    assert plan(decision(), []) is None


def test_a_remnant_too_short_to_watch_makes_no_clip() -> None:
    assert plan(decision(peak=7.5, before=0.4, after=4.0), segments_of((0, 8))) is None
    assert plan(decision(peak=7.5, before=SHORTEST, after=4.0), segments_of((0, 8))) is not None


def test_a_segment_of_just_the_shortest_length_makes_a_clip_wherever_it_lies() -> None:
    assert 2.05 - 1.05 < 1.0  # what floating point makes of it
    assert plan(decision(peak=2.0, before=30.0, after=30.0), [segment(0, 1.05, 1.0)]) is not None


def test_a_seam_between_segments_is_no_hole() -> None:
    whole = [segment(0, 0.0), segment(1, 2.0 + SEAM), segment(2, 4.0 + SEAM)]
    assert bounds(decision(peak=3.0, before=3.0, after=2.0), whole) == (0.0, 5.0)
    torn = [segment(0, 0.0), segment(1, 2.1 + SEAM), segment(2, 4.1 + SEAM)]
    assert bounds(decision(peak=3.0, before=3.0, after=2.0), torn) == (2.1 + SEAM, 5.0)


def test_a_clips_identity_follows_the_decision_not_the_media() -> None:
    wanted = decision(peak=14.0, before=8.0, after=4.0)
    whole, holed = plan(wanted, segments_of((0, 30))), plan(wanted, segments_of((0, 8), (12, 30)))
    assert whole is not None
    assert holed is not None
    assert whole.id == holed.id == clip_id(highlight=wanted.highlight_id, start=6.0, end=18.0)


@given(
    media=broken_media(),
    peak=st.floats(0.0, 80.0),
    before=st.floats(0.0, 30.0),
    after=st.floats(0.0, 30.0),
)
def test_a_clip_lies_within_its_decision_and_never_spans_a_hole(
    media: list[SegmentRef], peak: float, before: float, after: float
) -> None:
    wanted = decision(peak=peak, before=before, after=after)
    spec = plan(wanted, media)
    if spec is None:
        return
    assert wanted.clip_start <= spec.start <= spec.peak <= spec.end <= wanted.clip_end
    assert round(spec.duration, 6) >= SHORTEST
    assert spec.segments[0].start <= spec.start
    assert spec.end <= spec.segments[-1].end
    neighbours = zip(spec.segments, spec.segments[1:], strict=False)
    assert all(after.start - before.end <= SEAM for before, after in neighbours)
    assert all(each in media for each in spec.segments)


@given(media=broken_media(), data=st.data())
def test_media_around_a_peak_always_makes_a_clip(
    media: list[SegmentRef], data: st.DataObject
) -> None:
    usable = [each for each in media if each.duration >= SHORTEST]
    if not usable:
        return
    home = data.draw(st.sampled_from(usable))
    peak = data.draw(st.floats(home.start, home.end))
    assert plan(decision(peak=peak, before=30.0, after=30.0), media) is not None


def test_a_clip_reads_from_the_keyframe_that_its_first_picture_needs() -> None:
    media = segments_of((0, 30))
    for number, each in enumerate(media):
        starts, has = number % 5 == 0, number % 5 == 0 or number % 5 == 2
        media[number] = each.model_copy(
            update={"starts_with_keyframe": starts, "has_keyframe": has}
        )
    for peak, first in ((11.0, 10.0), (13.0, 10.0), (15.0, 10.0), (17.0, 14.0), (19.0, 14.0)):
        spec = plan(decision(peak=peak, before=1.0, after=2.0), media)
        assert spec is not None
        assert spec.segments[0].start == first
        assert (spec.start, spec.end) == (peak - 1.0, peak + 2.0)


def test_a_lead_in_does_not_reach_over_a_hole_or_without_bound() -> None:
    without = {"starts_with_keyframe": False, "has_keyframe": False}
    holed = [each.model_copy(update=without) for each in segments_of((0, 8), (12, 30))]
    spec = plan(decision(peak=17.0, before=2.0, after=2.0), holed)
    assert spec is not None
    assert spec.segments[0].start == 12.0
    long = [each.model_copy(update=without) for each in segments_of((0, 100))]
    spec = plan(decision(peak=81.0, before=1.0, after=2.0), long)
    assert spec is not None
    assert spec.segments[0].start == 80.0 - LONGEST_LEAD_IN


@pytest.mark.parametrize(
    ("holes", "peak", "part"),
    [
        ((), 4.0, (0.0, 10.0)),
        (((6.0, 10.0),), 4.0, (0.0, 6.0)),
        (((0.0, 2.0),), 4.0, (2.0, 10.0)),
        (((2.0, 3.0), (5.0, 6.0)), 4.0, (3.0, 5.0)),
        (((5.0, 6.0), (2.0, 5.5)), 6.2, (6.0, 10.0)),
        (((3.0, 5.0),), 4.0, None),
        (((4.2, 10.0),), 4.5, (0.0, 4.2)),
        (((0.5, 3.5), (4.2, 10.0)), 4.0, None),
        (((0.0, 10.0),), 4.0, None),
    ],
)
def test_of_a_damaged_clip_the_whole_part_around_its_peak_is_kept(
    holes: tuple[tuple[float, float], ...], peak: float, part: tuple[float, float] | None
) -> None:
    assert undamaged_part(10.0, holes, peak=peak) == part
