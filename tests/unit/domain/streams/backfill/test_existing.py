"""Moments that were missed join the highlights that a stream already has."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.highlights.selection import DecisionStatus
from domain.streams.backfill.messages import ExistingHighlight, exclude_existing, selection_with
from tests.factories.selection import Stream, candidate, profile

CONFIRMED, REJECTED = DecisionStatus.CONFIRMED, DecisionStatus.REJECTED


def shown(
    number: int, peak: float, status: DecisionStatus = CONFIRMED, *, override: bool = False
) -> ExistingHighlight:
    return ExistingHighlight(
        id=UUID(int=number),
        status=status,
        start=max(0.0, peak - 2),
        peak=peak,
        end=peak + 2,
        override=override,
    )


def going_on(*standing: ExistingHighlight, gap: tuple[float, float] = (300.0, 400.0)) -> Stream:
    stream = Stream(profile(per_window=2))
    stream.state = selection_with(standing, [gap], watermark=gap[0])
    return stream


def test_a_moment_in_the_gap_is_confirmed_beside_those_that_stand() -> None:
    stream = going_on(shown(1, 200.0), shown(2, 900.0))
    stream.call(candidate(3, 350.0, 0.8), watermark=400.0, ended=True)
    assert [each.highlight_id.int for each in stream.confirmed()] == [3]


def test_the_better_of_two_in_a_gap_is_chosen_whichever_comes_first() -> None:
    stream = going_on()
    stream.call(candidate(3, 340.0, 0.75), candidate(4, 355.0, 0.9), watermark=400.0, ended=True)
    assert [each.highlight_id.int for each in stream.confirmed()] == [4]


def test_what_stands_is_not_displaced_by_a_better_one_too_near() -> None:
    stream = going_on(shown(1, 299.0))
    stream.call(candidate(3, 310.0, 0.9), watermark=400.0, ended=True)
    assert stream.status(3) is REJECTED


def test_places_that_are_taken_stay_taken() -> None:
    stream = going_on(shown(1, 430.0), shown(2, 500.0))
    stream.call(candidate(3, 350.0, 0.9), watermark=400.0, ended=True)
    assert stream.status(3) is REJECTED


def test_a_gap_at_the_beginning_of_a_long_stream_is_not_too_late() -> None:
    stream = going_on(shown(1, 9000.0), gap=(100.0, 200.0))
    stream.call(candidate(3, 150.0, 0.8), watermark=200.0, ended=True)
    assert stream.status(3) is CONFIRMED


@pytest.mark.parametrize("status", [CONFIRMED, REJECTED])
def test_what_was_decided_live_is_not_decided_again(status: DecisionStatus) -> None:
    stream = going_on(shown(3, 301.0, status))
    assert stream.call(candidate(3, 301.0, 0.9), watermark=400.0, ended=True) == {}


def test_far_highlights_are_remembered_by_their_peaks_alone() -> None:
    far = [shown(number, 2000.0 + 60 * number) for number in range(1, 200)]
    state = selection_with([shown(900, 310.0), *far], [(300.0, 400.0)], watermark=300.0)
    assert [each.id.int for each in state.placed] == [900]
    assert len(state.past) == len(far)


def test_the_second_sight_of_a_highlight_is_left_out_however_exceptional() -> None:
    half_seen = shown(1, 298.0)
    whole = candidate(3, 299.0, 0.99, length=6.0)
    assert exclude_existing([whole], [half_seen]) == ()


def test_what_is_new_says_where_it_was_seen() -> None:
    (seen,) = exclude_existing([candidate(3, 350.0, 0.8)], [shown(1, 298.0)])
    assert seen.evidence[-1].words == "seen in the recording, after the stream"


def test_a_refused_moment_does_not_keep_another_away() -> None:
    assert exclude_existing([candidate(3, 299.0, 0.8)], [shown(1, 299.0, REJECTED)]) != ()
