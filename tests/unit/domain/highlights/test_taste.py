"""What a tenant's feedback does to the scores and bounds of its next highlights."""

from __future__ import annotations

import random
from collections.abc import Sequence
from uuid import UUID

import pytest

from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.feedback import FeedbackVerdict, HighlightCorrection
from domain.highlights.taste import (
    MOST_MOVED,
    MOST_SHIFT,
    MOST_TRAIT_SHIFT,
    Judgement,
    Taste,
    apply_taste,
    fit_taste,
    judge,
)
from domain.ids import highlight_id
from domain.score import DIMENSIONS, HighlightScore, log_odds

TENANT, STREAM = UUID(int=1), UUID(int=2)
LIKE, DISLIKE = FeedbackVerdict.LIKE, FeedbackVerdict.DISLIKE
VERDICTS = (LIKE, DISLIKE)
KINDS = ("crowd", "motion")


def moment(*signals: str, value: float = 0.8, tags: tuple[str, ...] = ()) -> HighlightCandidate:
    """A moment at 95-105 s with these signals, equally good on all dimensions."""
    return HighlightCandidate(
        id=highlight_id(tenant_id=TENANT, stream_id=STREAM, peak=100.0),
        start=95.0,
        peak=100.0,
        end=105.0,
        settled_at=110.0,
        score=HighlightScore(**dict.fromkeys(DIMENSIONS, value)),
        analyzer="local-1",
        tags=tags,
        evidence=tuple(Evidence(signal=each, strength=2.0, words=each) for each in signals),
    )


def judged(
    about: HighlightCandidate,
    verdict: FeedbackVerdict | None = None,
    correction: HighlightCorrection | None = None,
) -> Judgement:
    """The judgement of a moment whose clip has no margins."""
    return judge(
        about,
        clip_start=about.start,
        clip_end=about.end,
        verdict=verdict,
        correction=correction,
    )


def taste_for(liked: str, count: int = 40) -> Taste:
    """The taste of a tenant that likes one kind of moment and dislikes the other."""
    given = [
        judged(moment(kind), LIKE if kind == liked else DISLIKE)
        for kind in KINDS
        for _ in range(count // 2)
    ]
    return fit_taste(given, version=1)


def value_of(about: HighlightCandidate, taste: Taste) -> float:
    return apply_taste(about, taste).score.game_impact


def test_opposite_tastes_shift_the_same_moment_in_opposite_directions() -> None:
    about = moment("crowd")
    assert value_of(about, taste_for("crowd")) > 0.85
    assert value_of(about, taste_for("motion")) < 0.75


def test_a_shift_grows_with_the_number_of_judgements() -> None:
    values = [value_of(moment("crowd"), taste_for("crowd", count)) for count in (2, 6, 8, 20)]
    assert values[0] == 0.8
    assert values == sorted(values)
    assert len(set(values)) == len(values)


def test_without_feedback_a_candidate_is_the_same() -> None:
    about = moment("crowd", tags=("goal",))
    assert apply_taste(about, fit_taste([], version=3)) == about


def test_likes_alone_do_not_raise_every_score() -> None:
    taste = fit_taste([judged(moment("crowd"), LIKE)] * 100, version=1)
    assert value_of(moment("crowd"), taste) == pytest.approx(0.8, abs=0.01)


def test_a_trait_of_two_highlights_is_not_learned() -> None:
    given = [judged(moment("crowd", tags=("goal",)), LIKE)] * 2
    taste = fit_taste([*given, *([judged(moment("crowd"), DISLIKE)] * 5)], version=1)
    assert "tag.goal" not in taste.traits


def test_tags_and_dimensions_are_traits_too() -> None:
    skilled = moment(tags=("dribble",)).replace(
        score=HighlightScore(**{**dict.fromkeys(DIMENSIONS, 0.7), "skill_execution": 0.9})
    )
    given = [judged(skilled, LIKE), judged(moment(tags=("foul",)), DISLIKE)] * 10
    taste = fit_taste(given, version=1)
    assert taste.traits["tag.dribble"].weight > 0.2
    assert taste.traits["tag.foul"].weight < -0.2
    assert taste.traits["dimension.skill_execution"].weight > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_no_feedback_shifts_a_score_by_more_than_the_bound(seed: int) -> None:
    drawn = random.Random(seed)
    signals = [f"s{number}" for number in range(12)]
    given = [
        judged(moment(*drawn.sample(signals, 6), value=drawn.random()), drawn.choice(VERDICTS))
        for _ in range(200)
    ]
    taste = fit_taste(given, version=1)
    assert all(abs(each.weight) <= MOST_TRAIT_SHIFT for each in taste.traits.values())
    for _ in range(50):
        about = moment(*drawn.sample(signals, 6))
        moved = log_odds(value_of(about, taste)) - log_odds(0.8)
        assert abs(moved) <= MOST_SHIFT + 0.001


def test_a_spiteful_tenant_shifts_a_score_to_the_bound_and_no_further() -> None:
    kinds = [f"s{number}" for number in range(10)]
    spite = [judged(moment(*kinds), DISLIKE)] * 150 + [judged(moment("other"), LIKE)] * 150
    shifted = apply_taste(moment(*kinds), fit_taste(spite, version=1))
    assert log_odds(shifted.score.rarity) == pytest.approx(log_odds(0.8) - MOST_SHIFT, abs=0.01)


def test_the_same_judgements_give_the_same_taste() -> None:
    assert taste_for("crowd") == taste_for("crowd")


def test_a_withdrawn_judgement_leaves_no_trace() -> None:
    kept = [judged(moment(kind), DISLIKE) for kind in KINDS for _ in range(5)]
    before = fit_taste(kept, version=1)
    assert fit_taste([*kept, judged(moment("crowd"), LIKE)], version=1) != before
    assert fit_taste(kept, version=1) == before


def test_the_evidence_names_version_shift_and_traits() -> None:
    shifted = apply_taste(moment("crowd"), taste_for("crowd").with_version(7))
    given = next(each for each in shifted.evidence if each.signal == "taste")
    assert given.words.startswith("your feedback (version 7) shifts the score by +")
    assert "signal crowd +" in given.words
    moved = log_odds(shifted.score.rarity) - log_odds(0.8)
    assert given.strength == pytest.approx(moved, abs=0.001)


def test_a_shift_that_was_applied_is_not_learned_again() -> None:
    about, shared = moment("crowd"), taste_for("crowd")
    shifted = apply_taste(about, shared)
    assert judged(shifted, LIKE).odds == pytest.approx(judged(about, LIKE).odds, abs=0.001)
    assert judged(shifted, LIKE).traits == judged(about, LIKE).traits


def corrected(about: HighlightCandidate, earlier: float, later: float = 0.0) -> Judgement:
    bounds = HighlightCorrection(start=95.0 - earlier, end=105.0 + later)
    return judged(about, correction=bounds)


def bounds_of(moves: Sequence[tuple[float, float]]) -> tuple[float, float]:
    given = [corrected(moment("crowd"), *each) for each in moves]
    found = apply_taste(moment("crowd"), fit_taste(given, version=1))
    return found.start, found.end


def test_corrected_bounds_move_the_next_highlights() -> None:
    start, end = bounds_of([(3.0, -2.0)] * 20)
    assert start == pytest.approx(92.5)
    assert end == pytest.approx(103.33)


def test_one_correction_moves_little_and_a_mistake_among_many_nothing() -> None:
    assert bounds_of([(3.0, 0.0)]) == (94.4, 105.0)
    assert bounds_of([(3.0, 0.0)] * 20 + [(80.0, 0.0)]) == pytest.approx((92.48, 105.0))


def test_bounds_never_move_beyond_the_limit_or_onto_the_peak() -> None:
    start, end = bounds_of([(90.0, 90.0)] * 100)
    assert (start, end) == (95.0 - MOST_MOVED, 105.0 + MOST_MOVED)
    start, end = bounds_of([(-4.8, -4.8)] * 100)
    assert (start, end) == (99.0, 101.0)


def test_a_correction_of_moved_bounds_counts_from_the_shared_ones() -> None:
    moved = apply_taste(moment("crowd"), Taste(version=1, earlier=2.0, later=1.0))
    given = corrected(moved, earlier=2.0, later=1.0)
    assert (given.earlier, given.later) == (2.0, 1.0)


def test_a_correction_is_no_verdict() -> None:
    taste = fit_taste([corrected(moment("crowd"), 1.0)] * 5, version=1)
    assert (taste.likes, taste.dislikes, taste.corrections) == (0, 0, 5)
    assert taste.traits == {}


def test_the_evidence_says_how_far_bounds_were_moved() -> None:
    moved = apply_taste(moment("crowd"), Taste(version=1, earlier=2.0, later=-1.5))
    assert [each.words for each in moved.evidence[1:]] == [
        "starts 2.0 s earlier, by your corrections",
        "ends 1.5 s earlier, by your corrections",
    ]
