"""Which stretches of a recording are fetched to fill which gaps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.ingest.playlist import MediaPlaylist
from domain.media.segments import Gap, GapStatus
from domain.streams.backfill.planning import (
    LEAD,
    LONGEST,
    PIECE,
    TAIL,
    WINDOWS,
    BackfillPlan,
    JoinedBy,
    gap_outcome,
    plan_backfill,
    plan_whole,
)
from tests.factories.backfill import LENGTH, gap, recording


def plan(*gaps: Gap, of: MediaPlaylist | None = None, stream_end: float = 600.0) -> BackfillPlan:
    return plan_backfill(gaps, of or recording(300), stream_end=stream_end)


def span(found: BackfillPlan, number: int = 0) -> tuple[float, float]:
    """Where range `number` lies, in seconds of media time."""
    pieces = found.ranges[number].pieces
    last = pieces[-1]
    return pieces[0].start, last.start - last.skip + (last.last - last.first + 1) * LENGTH


def test_a_gap_is_fetched_with_what_the_analyzer_needs_before_and_after_it() -> None:
    found = plan(gap(200.0, 20.0))
    assert found.lost == ()
    assert span(found) == pytest.approx((200.0 - LEAD, 220.0 + TAIL), abs=LENGTH)
    assert found.ranges[0].joined_by is JoinedBy.WALL_CLOCK


def test_the_wall_clock_finds_a_gap_of_a_stream_that_was_joined_late() -> None:
    found = plan(gap(200.0, 20.0, joined=100.0), of=recording(400))
    assert found.ranges[0].pieces[0].first == round((300.0 - LEAD) / LENGTH)
    assert found.ranges[0].pieces[0].start == pytest.approx(200.0 - LEAD)


def test_a_gap_at_the_beginning_has_no_lead() -> None:
    assert span(plan(gap(0.0, 10.0)))[0] == 0.0


def test_what_lies_before_our_timeline_is_left_out() -> None:
    found = plan(gap(10.0, 10.0, joined=100.0))
    assert found.ranges[0].pieces[0].first == 50
    assert span(found)[0] == 0.0


def test_gaps_near_each_other_are_fetched_together_and_others_are_not() -> None:
    found = plan(gap(400.0, 4.0), gap(100.0, 4.0), gap(130.0, 4.0))
    assert [[each.start for each in one.gaps] for one in found.ranges] == [[100.0, 130.0], [400.0]]


def test_a_gap_without_a_date_lies_as_its_neighbour_does() -> None:
    found = plan(gap(400.0, 4.0, joined=50.0), gap(10.0, 4.0, dated=False), of=recording(400))
    assert len(found.ranges) == 2
    assert found.ranges[0].pieces[0].first == 25


def test_without_dates_the_media_sequence_finds_a_gap() -> None:
    undated = recording(300, dated=False, first_sequence=40)
    found = plan(gap(200.0, 20.0, dated=False, first_sequence=140), of=undated)
    assert found.ranges[0].joined_by is JoinedBy.MEDIA_SEQUENCE
    assert span(found) == pytest.approx((200.0 - LEAD, 220.0 + TAIL), abs=LENGTH)


def test_numbers_that_began_anew_are_not_believed() -> None:
    undated = recording(300, dated=False)
    found = plan(gap(200.0, 20.0, dated=False, first_sequence=250), of=undated)
    assert found.ranges[0].joined_by is JoinedBy.DURATION


def test_without_dates_and_numbers_an_equally_long_recording_is_believed() -> None:
    undated = recording(302, dated=False)
    found = plan(gap(200.0, 20.0, dated=False, first_sequence=9000), of=undated)
    assert found.ranges[0].joined_by is JoinedBy.DURATION


def test_what_cannot_be_tied_is_lost_not_guessed() -> None:
    undated = recording(200, dated=False)
    found = plan(gap(200.0, 20.0, dated=False, first_sequence=9000), of=undated)
    assert found.ranges == ()
    assert [each.resolution for each in found.lost] == [
        "Where it lies in the recording cannot be told."
    ]


def test_a_gap_that_a_short_recording_does_not_reach_is_lost() -> None:
    found = plan(gap(100.0, 10.0), gap(500.0, 10.0), of=recording(150))
    assert [[each.start for each in one.gaps] for one in found.ranges] == [[100.0]]
    assert [(each.start, each.status) for each in found.lost] == [(500.0, GapStatus.LOST)]


def test_an_instant_that_the_recording_left_out_is_lost() -> None:
    found = plan(gap(100.0, 10.0), of=recording(300, pause=(40, 60.0)))
    assert found.ranges == ()


def test_a_whole_stream_is_planned_from_the_recording_alone() -> None:
    found = plan_whole(recording(100))
    assert found.ranges[0].gaps == ()
    assert span(found) == (0.0, 200.0)
    assert found.ranges[0].counts(0.0)
    assert found.ranges[0].counts(199.0)


def test_of_an_endless_recording_twelve_hours_are_taken() -> None:
    found = plan_whole(recording(int(LONGEST / LENGTH) + 500))
    assert span(found)[1] == pytest.approx(LONGEST)


def test_a_recording_without_segments_gives_nothing_to_fetch() -> None:
    assert plan_whole(recording(0)) == BackfillPlan()
    assert plan(gap(10.0, 4.0), of=recording(0)).ranges == ()


def test_only_peaks_in_or_beside_a_gap_count() -> None:
    (found,) = plan(gap(100.0, 10.0)).ranges
    assert [found.counts(peak) for peak in (97.0, 98.5, 105.0, 111.5, 113.0)] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_a_gap_counts_as_filled_when_nearly_all_of_it_was_analysed() -> None:
    lost = gap(100.0, 20.0)
    filled = gap_outcome(lost, [(90.0, 119.0), (119.5, 130.0)], JoinedBy.WALL_CLOCK)
    assert filled.status is GapStatus.FILLED
    assert filled.resolution == "Analysed from the recording, found there by wall clock."
    partly = gap_outcome(lost, [(90.0, 112.0)], JoinedBy.WALL_CLOCK)
    assert partly.status is GapStatus.LOST
    assert partly.resolution == ("Of its 20.0 s the recording gave 12.0 s, which were analysed.")


GAPS = st.lists(st.tuples(st.integers(0, 290), st.integers(1, 30)), min_size=1, max_size=8).map(
    lambda spans: [gap(first * LENGTH, min(count, 300 - first) * LENGTH) for first, count in spans]
)


@given(GAPS)
def test_every_gap_lies_whole_in_one_range_whose_pieces_follow_on_each_other(
    gaps: list[Gap],
) -> None:
    found = plan(*gaps)
    assert found.lost == ()
    assert sum(len(each.gaps) for each in found.ranges) == len(gaps)
    windows = [piece.window for each in found.ranges for piece in each.pieces]
    assert len(set(windows)) == len(windows)
    assert min(windows) >= WINDOWS
    for number, each in enumerate(found.ranges):
        start, end = span(found, number)
        assert all(start <= one.start and one.end <= end for one in each.gaps)
        for before, after in pairwise(each.pieces):
            assert after.first == before.last + 1
        assert all((one.last - one.first) * LENGTH < PIECE for one in each.pieces)


@given(GAPS, st.floats(0, 400))
@example([gap(0.0, 2.0)], 1.75)
@example([gap(0.0, 2.0)], 1.985)
def test_wherever_the_recording_begins_the_same_gaps_are_covered(
    gaps: list[Gap], earlier: float
) -> None:
    longer = plan(*gaps, of=recording(600, begins=-earlier))
    assert longer.lost == ()
    assert [each.gaps for each in longer.ranges] == [each.gaps for each in plan(*gaps).ranges]
    for number, each in enumerate(longer.ranges):
        start, end = span(longer, number)
        assert start >= 0.0
        first = each.pieces[0]
        assert first.start - first.skip == pytest.approx(first.first * LENGTH - earlier, abs=0.001)
        assert all(start <= one.start + 0.01 and one.end <= end + 0.01 for one in each.gaps)
