from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.legacy_score import OLDER_NAMES, LegacyForm, Scale, ScoreError, normalise, read_score
from domain.score import DIMENSIONS

FULL = {Scale.UNIT: 1, Scale.STARS: 5, Scale.TEN: 10, Scale.PERCENT: 100}
EIGHT = dict.fromkeys(DIMENSIONS, 0.5)


@pytest.mark.parametrize(
    ("raw", "scale", "expected"),
    [(0.8, Scale.UNIT, 0.8), (4, Scale.STARS, 0.8), (8, Scale.TEN, 0.8), (80, Scale.PERCENT, 0.8)],
)
def test_a_single_number_of_a_declared_scale_stands_for_all_dimensions(
    raw: float, scale: Scale, expected: float
) -> None:
    read = read_score(raw, scale=scale)
    assert set(read.score.dimensions().values()) == {expected}
    assert read.write() == pytest.approx(raw)


@given(st.data(), st.sampled_from(Scale), st.sampled_from(LegacyForm), st.booleans())
def test_every_form_is_written_back_as_it_was_read(
    data: st.DataObject, scale: Scale, form: LegacyForm, sure: bool
) -> None:
    number = st.floats(0, FULL[scale])
    raw: float | dict[str, float]
    if form is LegacyForm.SINGLE:
        raw = data.draw(number)
    else:
        names = DIMENSIONS if form is LegacyForm.DIMENSIONS else tuple(OLDER_NAMES)
        raw = {name: data.draw(number) for name in names}
        if sure:
            raw["confidence"] = data.draw(st.floats(0, 1))
    read = read_score(raw, scale=scale)
    assert read.form is form
    assert read.write() == pytest.approx(raw, rel=1e-12, abs=1e-300)
    assert all(0.0 <= value <= 1.0 for value in read.score.dimensions().values())


def test_older_names_mean_the_present_dimensions() -> None:
    raw = dict.fromkeys(OLDER_NAMES, 0.1) | {"skill": 0.9}
    assert read_score(raw).score.skill_execution == 0.9
    assert set(OLDER_NAMES.values()) == set(DIMENSIONS)


def test_names_may_be_mixed() -> None:
    raw = {name: 0.5 for name in DIMENSIONS if name != "rarity"} | {"uniqueness": 0.9}
    assert read_score(raw).score.rarity == 0.9
    assert read_score(raw).form is LegacyForm.DIMENSIONS


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (EIGHT | {"rarity": float("nan")}, "rarity is NaN; leave a dimension out rather than"),
        (EIGHT | {"rarity": float("inf")}, "rarity is infinite; the largest value of this scale"),
        (EIGHT | {"rarity": -0.5}, r"rarity is -0.5, outside \[0, 1\]$"),
        (
            EIGHT | {"rarity": 7},
            r"\[0, 1\]; if the analyzer scores on another scale, declare it: ten or percent$",
        ),
        (EIGHT | {"rarity": 70}, "declare it: percent$"),
        (EIGHT | {"rarity": 700}, r"rarity is 700, outside \[0, 1\]$"),
        (EIGHT | {"rarity": "high"}, "rarity is 'high', not a number"),
        (EIGHT | {"rarity": True}, "rarity is True, not a number"),
        (EIGHT | {"luck": 0.5}, "'luck' is not a dimension; they are skill_execution, "),
        (EIGHT | {"skill": 0.5}, "skill_execution is given twice, once by an older name"),
        ({"rarity": 0.5}, "the score lacks skill_execution, game_impact, visual_spectacle"),
        (EIGHT | {"confidence": 90}, r"confidence is 90, outside \[0, 1\]"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_remedy(
    raw: dict[str, object], message: str
) -> None:
    with pytest.raises(ScoreError, match=message):
        read_score(raw)


def test_a_scale_is_never_guessed() -> None:
    with pytest.raises(ScoreError, match="score is 8"):
        normalise(8)
    assert normalise(8, scale=Scale.TEN) == 0.8
    assert normalise(8, scale=Scale.PERCENT) == 0.08
