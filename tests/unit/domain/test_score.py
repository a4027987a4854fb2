from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore

UNIT = st.floats(0, 1)
SCORES = st.builds(HighlightScore, **dict.fromkeys((*DIMENSIONS, "confidence"), UNIT))
WEIGHTS = GameProfile(id="test", version="1", name="Test").weights


@given(SCORES)
def test_the_combined_score_lies_between_the_least_and_the_greatest_dimension(
    score: HighlightScore,
) -> None:
    values = score.dimensions().values()
    combined = score.calculate_combined_score(WEIGHTS)
    assert min(values) - 1e-9 <= combined <= max(values) + 1e-9
    assert 0.0 <= combined <= 1.0


@given(SCORES, st.sampled_from(DIMENSIONS), UNIT)
def test_a_dimension_that_rises_never_lowers_the_combined_score(
    score: HighlightScore, name: str, value: float
) -> None:
    raised = score.model_copy(update={name: max(value, getattr(score, name))})
    assert raised.calculate_combined_score(WEIGHTS) >= score.calculate_combined_score(WEIGHTS)


def test_eight_times_a_threshold_reaches_the_threshold() -> None:
    for hundredths in range(101):
        value = hundredths / 100
        score = HighlightScore(**dict.fromkeys(DIMENSIONS, value))
        assert score.calculate_combined_score(WEIGHTS) == value


def test_weights_that_lack_a_dimension_are_an_error() -> None:
    score = HighlightScore(**dict.fromkeys(DIMENSIONS, 0.5))
    with pytest.raises(KeyError, match="rarity"):
        score.calculate_combined_score({name: 0.1 for name in DIMENSIONS if name != "rarity"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.01])
def test_a_dimension_outside_the_unit_interval_is_refused(value: float) -> None:
    with pytest.raises(ValidationError, match="rarity"):
        HighlightScore(**(dict.fromkeys(DIMENSIONS, 0.5) | {"rarity": value}))


@given(SCORES)
def test_a_score_survives_json(score: HighlightScore) -> None:
    assert HighlightScore.model_validate_json(score.model_dump_json()) == score
