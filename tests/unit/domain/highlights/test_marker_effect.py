"""What a mark means in a game."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.highlights.candidate import HighlightCandidate, Mark
from domain.highlights.markers import apply_marker
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore


def soccer(trust: float = 1.0) -> GameProfile:
    return GameProfile.model_validate(
        {
            "id": "soccer",
            "version": "1",
            "name": "Soccer",
            "tags": {"goal": ("goal", "header"), "odds": ("market_suspended",)},
            "moments": {
                "penalty": {
                    "words": "a penalty",
                    "length": {"shortest": 4, "typical": 8, "longest": 16},
                    "tags": ("goal", "header"),
                },
                "warm_up": {
                    "words": "players warming up",
                    "length": {"shortest": 4, "typical": 8, "longest": 16},
                },
            },
            "analyzer": {"signals": {"timed_metadata": trust}},
        }
    )


def marked(mark: Mark | None, *, value: float = 0.75) -> HighlightCandidate:
    tags = ("loud_crowd", *([mark.label] if mark else []))
    return HighlightCandidate(
        id=UUID(int=1),
        start=10.0,
        peak=15.0,
        end=20.0,
        settled_at=21.0,
        score=HighlightScore(**dict.fromkeys(DIMENSIONS, value)),
        analyzer="local-1",
        tags=tags,
        mark=mark,
        unmarked=HighlightScore(**dict.fromkeys(DIMENSIONS, value / 3)) if mark else None,
    )


def test_an_unmarked_moment_is_left_alone() -> None:
    assert apply_marker(marked(None), soccer()) == marked(None)


def test_a_label_of_the_taxonomy_becomes_a_tag() -> None:
    honoured = apply_marker(marked(Mark(label="goal")), soccer())
    assert honoured.tags == ("loud_crowd", "goal")
    assert honoured.corrections == ()


def test_a_kind_of_moment_gives_its_first_tag() -> None:
    assert apply_marker(marked(Mark(label="penalty")), soccer()).tags == ("loud_crowd", "goal")


def test_a_kind_of_moment_without_tags_is_known_all_the_same() -> None:
    honoured = apply_marker(marked(Mark(label="warm_up")), soccer())
    assert honoured.tags == ("loud_crowd",)
    assert honoured.corrections == ()
    assert honoured.score.rarity > 0.75


def test_an_unknown_label_gives_no_tag_and_says_so() -> None:
    honoured = apply_marker(marked(Mark(label="bet_settled")), soccer())
    assert honoured.tags == ("loud_crowd",)
    assert honoured.corrections == (
        "the tenant's label `bet_settled` is no tag: Soccer does not know it",
    )


def test_an_unknown_label_keeps_the_weight_that_the_analyzer_gave_the_mark() -> None:
    plain = marked(Mark(label="bet_settled"))
    assert apply_marker(plain, soccer()).score == plain.score


def test_a_known_label_lifts_most_what_weighs_most_in_the_game() -> None:
    profile = soccer()
    values = apply_marker(marked(Mark(label="goal")), profile).score.dimensions()
    assert min(values.values()) > 0.75
    assert max(values, key=lambda name: values[name]) == max(
        profile.weights, key=lambda name: profile.weights[name]
    )


def test_a_game_that_ignores_marks_scores_as_if_there_were_none() -> None:
    plain = marked(Mark(label="goal"))
    assert apply_marker(plain, soccer(trust=0.0)).score == plain.unmarked


@pytest.mark.parametrize(("trust", "direction"), [(0.0, -1), (0.5, -1), (1.5, 1), (2.0, 1)])
def test_the_profile_decides_how_far_a_mark_is_believed(trust: float, direction: int) -> None:
    plain = marked(Mark(label="unheard_of"))
    honoured = apply_marker(plain, soccer(trust))
    assert (honoured.score.rarity - plain.score.rarity) * direction > 0


@given(
    importance=st.floats(0, 1),
    less=st.floats(0, 1),
    value=st.floats(0, 1),
    trust=st.floats(1, 2),
    label=st.sampled_from(("goal", "penalty", "unknown")),
)
def test_a_weightier_mark_never_lifts_less(
    importance: float, less: float, value: float, trust: float, label: str
) -> None:
    weights, profile = soccer().weights, soccer(trust)
    high, low = (
        apply_marker(marked(Mark(label=label, importance=each), value=value), profile)
        for each in (importance, importance * less)
    )
    more = high.score.calculate_combined_score(weights)
    assert more >= low.score.calculate_combined_score(weights) - 1e-3
    assert 0.0 <= more <= 1.0
