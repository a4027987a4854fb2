"""Two witnesses weigh more than one; one against the other weighs less; each is heard."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analysis.gemini.budget import GateReason
from domain.analysis.gemini.fusion import (
    GeminiDetection,
    calibrated,
    fuse,
    gemini_only,
    is_same_moment,
    local_only,
    not_confirmed,
)
from domain.highlights.candidate import Evidence, HighlightCandidate, Mark
from domain.media.timestamps import ClockAnchor
from domain.score import DIMENSIONS, HighlightScore

KICK_OFF = datetime(2026, 5, 1, 18, 0, tzinfo=UTC)


def score(value: float, confidence: float = 0.7) -> HighlightScore:
    return HighlightScore(**dict.fromkeys(DIMENSIONS, value), confidence=confidence)


def local(value: float = 0.8, **changes: object) -> HighlightCandidate:
    candidate = HighlightCandidate(
        id=UUID(int=1),
        start=97.0,
        peak=100.0,
        end=105.0,
        settled_at=106.0,
        score=score(value),
        analyzer="local-1",
        tags=("loud_crowd",),
        evidence=(Evidence(signal="crowd", strength=4.0, words="crowd 9 dB above usual"),),
        peak_wall_clock=KICK_OFF + timedelta(seconds=100),
    )
    return candidate.model_copy(update=changes)


def detection(value: float = 0.8, **changes: object) -> GeminiDetection:
    seen = GeminiDetection(
        start=95.0,
        peak=99.0,
        end=104.0,
        kind="near_miss",
        certainty=0.9,
        score=score(value, 0.8),
        tags=("near_miss",),
        title="Off the post",
        description="So close.",
    )
    return seen.model_copy(update=changes)


def mean(candidate: HighlightCandidate) -> float:
    return sum(candidate.score.dimensions().values()) / len(DIMENSIONS)


def test_two_that_agree_are_surer_than_either() -> None:
    both = fuse(local(), detection(), analyzer="both")
    assert mean(both) > 0.8
    assert both.score.confidence > 0.7


def test_gemini_knows_the_time_and_the_words() -> None:
    both = fuse(local(), detection(), analyzer="both")
    assert (both.start, both.peak, both.end) == (95.0, 99.0, 104.0)
    assert (both.title, both.description) == ("Off the post", "So close.")
    assert both.tags == ("near_miss", "loud_crowd")
    assert both.peak_wall_clock == KICK_OFF + timedelta(seconds=99)
    assert both.id == local().id


def test_both_witnesses_are_explained() -> None:
    both = fuse(local(), detection(), analyzer="both")
    assert [each.words for each in both.evidence] == [
        "Gemini saw “near miss”, 90% sure",
        "crowd 9 dB above usual",
    ]


def test_a_peak_before_what_is_decided_stays_where_it_was_heard() -> None:
    assert fuse(local(), detection(), analyzer="both", earliest=99.5).peak == 100.0


def test_a_dull_sight_takes_from_a_loud_sound() -> None:
    assert mean(fuse(local(0.9), detection(0.3), analyzer="both")) < 0.8


def test_a_moment_that_gemini_did_not_see_scores_less_but_not_zero() -> None:
    candidate = not_confirmed(local(0.85), analyzer="both")
    assert 0.4 < mean(candidate) < 0.7
    assert candidate.evidence[-1].words == "Gemini looked and saw no moment there"


def test_the_loudest_moment_survives_not_being_seen() -> None:
    assert mean(not_confirmed(local(0.94), analyzer="both")) > 0.7


@pytest.mark.parametrize(
    "judged",
    [
        lambda heard: not_confirmed(heard, analyzer="both"),
        lambda heard: fuse(heard, detection(0.2), analyzer="both"),
    ],
)
def test_a_tenants_mark_stands_whatever_was_seen(
    judged: Callable[[HighlightCandidate], HighlightCandidate],
) -> None:
    """Only what the moment would be worth without the mark becomes less."""
    marked = local(0.8, mark=Mark(label="goal"), unmarked=score(0.6))
    candidate = judged(marked)
    assert mean(candidate) >= mean(marked)
    assert candidate.unmarked == judged(local(0.6)).score


def test_a_moment_without_local_signals_scores_slightly_less() -> None:
    found = gemini_only(
        detection(0.9),
        id=UUID(int=2),
        settled_at=120.0,
        analyzer="both",
        clock=ClockAnchor(at=0.0, wall=KICK_OFF),
    )
    assert 0.7 < mean(found) < 0.9
    assert found.settled_at == 120.0
    assert found.peak_wall_clock == KICK_OFF + timedelta(seconds=99)
    assert found.evidence[-1].words == "local signals did not stand out"


def test_without_gemini_the_local_moment_stands_with_the_reason() -> None:
    candidate = local_only(local(), GateReason.STREAM_BUDGET)
    assert candidate.score == local().score
    assert candidate.analyzer == "local-1"
    assert candidate.evidence[-1].words == "not seen by Gemini: the stream's budget was used up"


@pytest.mark.parametrize(
    ("span", "same"),
    [
        ((97.0, 99.0, 101.0), True),
        ((103.0, 104.9, 108.0), True),
        ((88.0, 90.0, 101.0), True),
        ((90.0, 94.5, 98.0), False),
        ((104.0, 105.5, 108.0), False),
    ],
)
def test_one_moment_is_distinguished_from_two(
    span: tuple[float, float, float], *, same: bool
) -> None:
    start, peak, end = span
    assert is_same_moment(local(), detection(start=start, peak=peak, end=end)) is same


def test_a_models_scores_are_drawn_towards_the_middle() -> None:
    assert 0 < calibrated(0.95) < 2.9
    assert -2.9 < calibrated(0.05) < 0


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_better_sight_never_makes_it_worse(heard: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    worse = fuse(local(heard), detection(low), analyzer="both")
    better = fuse(local(heard), detection(high), analyzer="both")
    assert mean(worse) <= mean(better)
    assert 0.0 <= mean(worse) <= 1.0
