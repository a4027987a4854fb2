"""What a baseline takes for usual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analysis.baseline import (
    BASELINE_SAMPLES,
    Baseline,
    SpreadBounds,
    hears_crowd,
    quantile,
)
from domain.analysis.signals import SILENCE

SPREAD = SpreadBounds(least=0.5, most=5.0, prior=2.0)


def learnt(*samples: float) -> Baseline:
    baseline = Baseline()
    for sample in samples:
        baseline = baseline.add(sample)
    return baseline


def test_nothing_is_usual_before_the_first_sample() -> None:
    assert Baseline().typical(SPREAD) is None


def test_the_prior_fades_out_as_samples_come_in() -> None:
    spreads = [learnt(*[1.0] * count).typical(SPREAD) for count in (1, 15, 60)]
    assert [round(each.spread, 2) for each in spreads if each] == [1.93, 1.0, 0.5]


def test_a_third_of_outliers_hardly_moves_the_level() -> None:
    calm = [(-1.0) ** index for index in range(60)]
    usual = learnt(*calm, *[40.0] * 25).typical(SPREAD)
    assert usual is not None
    assert usual.level <= 1.0
    assert usual.spread <= 3.0


def test_only_the_last_minutes_are_remembered() -> None:
    usual = learnt(*[50.0] * BASELINE_SAMPLES, *[1.0] * BASELINE_SAMPLES).typical(SPREAD)
    assert usual is not None
    assert usual.level == 1.0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50))
def test_the_spread_stays_within_what_may_be_believed(samples: list[float]) -> None:
    usual = learnt(*samples).typical(SPREAD)
    assert usual is not None
    assert SPREAD.least <= usual.spread <= SPREAD.most


def test_a_quantile_is_one_of_the_values() -> None:
    assert [quantile([3.0, 1.0, 2.0], share) for share in (0, 0.5, 1)] == [1.0, 2.0, 3.0]


def test_sigmas_count_spreads_above_the_level() -> None:
    usual = learnt(*[10.0] * 60).typical(SPREAD)
    assert usual is not None
    assert usual.sigmas(11.0) == pytest.approx(2.0)


def test_a_crowd_that_cheers_now_and_then_is_a_crowd() -> None:
    assert hears_crowd(learnt(*[-47.0, -46.0, -45.0] * 40, *[-30.0] * 40, *[-60.0] * 20))


def test_sounds_with_pauses_between_them_are_no_crowd() -> None:
    assert not hears_crowd(learnt(*[-40.0, -38.0, -65.0] * 60))


def test_silence_is_no_crowd() -> None:
    assert not hears_crowd(learnt(*[SILENCE] * 60))
    assert not hears_crowd(Baseline())
