"""False clips are named by what they show, missed moments by what they are."""

from __future__ import annotations

from benchmarks.quality.metrics import Interval
from benchmarks.quality.mistakes import mistakes
from benchmarks.quality.truth import GroundTruth, Moment

_TRUTH = GroundTruth(
    form="ours",
    moments=(Moment(start=10, end=20, kind="goal"), Moment(start=50, end=60, kind="save")),
    distractors=(Moment(start=30, end=40, kind="drums"), Moment(start=38, end=39, kind="sting")),
)


def test_what_is_found_is_no_mistake() -> None:
    assert mistakes(_TRUTH.moments, _TRUTH) == ([], [])


def test_a_missed_moment_is_named_by_its_kind() -> None:
    assert mistakes([Interval(start=10, end=20)], _TRUTH) == ([], ["save"])


def test_a_false_clip_is_named_by_the_distractor_that_it_overlaps_most() -> None:
    taken, _ = mistakes([Interval(start=31, end=41)], _TRUTH)
    assert taken == ["drums"]


def test_a_second_clip_of_a_moment_is_that_moment_again() -> None:
    clips = [Interval(start=10, end=20, score=0.9), Interval(start=11, end=20, score=0.8)]
    taken, missed = mistakes(clips, _TRUTH)
    assert (taken, missed) == (["goal again"], ["save"])


def test_a_false_clip_of_nothing_that_the_truth_names_has_no_kind() -> None:
    taken, _ = mistakes([Interval(start=100, end=110)], _TRUTH)
    assert taken == [""]
