"""How evidence becomes scores."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.analysis.fusion import FusedEvidence
from domain.analysis.scoring import SIGNAL_TAGS, Cues, evidence, excitement, score, tags
from domain.highlights.candidate import Mark
from domain.score import DIMENSIONS

ROUNDED = 0.5e-4 + 1e-9  # by which a figure of four decimals may be off
STRONG = Cues(crowd=16.0, crowd_sigmas=6.0, voice=4.0, motion=3.0, cuts=3)

cues = st.builds(
    Cues,
    crowd=st.none() | st.floats(-60, 60),
    crowd_sigmas=st.none() | st.floats(-40, 40),
    voice=st.none() | st.floats(-20, 20),
    motion=st.none() | st.floats(-20, 20),
    cuts=st.integers(0, 50),
    cuts_before=st.integers(0, 50),
    tonality=st.floats(0, 1),
    dynamics=st.floats(0, 30),
    decay=st.floats(0, 1),
    held=st.floats(0, 30),
    sustained=st.floats(0, 1),
    attack=st.floats(0, 1),
    known=st.floats(0, 1),
    quiet_before=st.floats(-60, 60),
    record=st.booleans(),
    mark=st.none() | st.just(Mark(label="goal")),
    damaged=st.floats(0, 1),
)


def even(given_cues: Cues) -> float:
    return score(given_cues).calculate_combined_score(dict.fromkeys(DIMENSIONS, 1 / 8))


@given(cues)
def test_any_evidence_gives_scores_within_bounds_and_words(given_cues: Cues) -> None:
    result = score(given_cues)
    assert all(0.0 <= value <= 1.0 for value in result.dimensions().values())
    assert all(each.words for each in evidence(given_cues))
    assert len(set(tags(given_cues))) == len(tags(given_cues))
    assert set(tags(given_cues)) <= SIGNAL_TAGS | {"goal"}


@given(cues)
def test_the_mean_of_the_dimensions_is_the_common_evidence(given_cues: Cues) -> None:
    probability = 1.0 / (1.0 + math.exp(-excitement(given_cues)))
    assert even(given_cues) == pytest.approx(probability, abs=ROUNDED)


@given(cues, st.floats(0, 10))
@example(Cues(cuts_before=7, tonality=1.0), 1.0625)  # where only rounding differs
@example(Cues(cuts=1, decay=0.0, known=0.0, record=True, mark=Mark(label="goal")), 1.0625)
def test_a_more_excited_voice_never_lowers_the_score(given_cues: Cues, more: float) -> None:
    calm = given_cues.model_copy(update={"voice": given_cues.voice or 0.0})
    louder = given_cues.model_copy(update={"voice": (given_cues.voice or 0.0) + more})
    assert excitement(louder) >= excitement(calm)
    assert even(louder) >= even(calm) - 2 * ROUNDED


@given(st.sampled_from(DIMENSIONS))
def test_strong_evidence_passes_and_weak_fails_whatever_a_profile_weighs(name: str) -> None:
    weak = Cues(crowd=3.0, crowd_sigmas=1.5, voice=1.0, motion=0.5)
    lopsided = {each: 0.5 if each == name else 0.5 / 7 for each in DIMENSIONS}
    assert score(STRONG).calculate_combined_score(lopsided) >= 0.8
    assert score(weak).calculate_combined_score(lopsided) <= 0.3


def test_strong_evidence_alone_is_not_exceptional() -> None:
    assert 0.85 <= even(STRONG) < 0.95
    assert even(STRONG.model_copy(update={"record": True, "mark": Mark(label="goal")})) >= 0.95


def test_one_weak_cue_among_strong_ones_is_forgiven() -> None:
    for weak in ({"voice": 0.0}, {"motion": 0.0}, {"cuts": 0}):
        assert even(STRONG.model_copy(update=weak)) >= 0.70


def test_a_crowd_alone_is_not_enough_where_pictures_could_have_spoken() -> None:
    assert even(Cues(crowd=16.0, crowd_sigmas=6.0, voice=0.0, motion=0.0)) < 0.70


def test_a_bang_that_is_over_at_once_is_no_crowd() -> None:
    bang = STRONG.model_copy(update={"sustained": 0.1})
    assert even(bang) < 0.70
    assert "brief" in {each.signal for each in evidence(bang)}
    assert "brief" not in {each.signal for each in evidence(STRONG)}


def test_a_moment_of_the_fusion_is_ranked_by_the_fusion_and_stays_weak() -> None:
    logits = (-1.0, 0.2, 0.8, 2.0)
    weak = [even(STRONG.with_fused(FusedEvidence(logit=each, parts={}))) for each in logits]
    assert weak == sorted(weak)
    assert len(set(weak)) == len(weak)
    assert max(weak) < 0.70


def test_a_mark_counts_in_full_for_a_moment_of_the_fusion() -> None:
    fused = Cues(fused=FusedEvidence(logit=-1.0, parts={}), mark=Mark(label="goal"))
    assert even(fused) == pytest.approx(even(Cues(mark=Mark(label="goal"))))


def test_dimensions_lean_towards_the_cues_that_speak_for_them() -> None:
    seen = score(Cues(crowd=6.0, crowd_sigmas=2.0, voice=0.5, motion=4.0, cuts=3))
    heard = score(Cues(crowd=16.0, crowd_sigmas=6.0, voice=4.0, motion=0.5, cuts=0))
    assert seen.visual_spectacle > seen.emotional_intensity
    assert heard.emotional_intensity > heard.visual_spectacle


def test_local_signals_are_never_quite_sure() -> None:
    assert score(STRONG).confidence <= 0.8


def test_the_weightiest_cue_is_named_first() -> None:
    assert evidence(STRONG)[0].signal == "crowd"
    assert "16 dB" in evidence(STRONG)[0].words


def test_what_sounds_like_an_advert_does_not_refute_a_mark() -> None:
    advert = Cues(crowd=6.0, crowd_sigmas=3.0, tonality=0.6, dynamics=0.2, cuts_before=14)
    marked = advert.model_copy(update={"mark": Mark(label="goal")})
    assert even(advert) < 0.1
    assert even(marked) >= 0.7


@given(cues.map(lambda each: each.model_copy(update={"mark": None})), st.floats(0, 1))
def test_a_mark_never_lowers_a_score(given_cues: Cues, importance: float) -> None:
    marked = given_cues.model_copy(update={"mark": Mark(label="a", importance=importance)})
    assert even(marked) >= even(given_cues) - 2 * ROUNDED
