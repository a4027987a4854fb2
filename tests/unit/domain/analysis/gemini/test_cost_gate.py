"""The gate lets the best chunks through, and never more than the limits allow."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analysis.gemini.budget import (
    WARM_UP,
    ChunkValue,
    GateLimits,
    GateReason,
    GateState,
    evaluate_gate,
)

LIMITS = GateLimits(dollars_per_hour=0.25, video_share=0.35, sampled_share=0.05)
RICH = math.inf


def chunk(**changes: float) -> ChunkValue:
    whole = {
        "seconds": 24.0,
        "video_seconds": 32.0,
        "rank": 0.5,
        "has_moment": False,
        "promising": False,
        "dollars": 0.002,
        "sample": 0.5,
    }
    return ChunkValue.model_validate({**whole, **changes})


def known(*, seconds: float = 3600.0, **changes: float | list[float]) -> GateState:
    ranks = tuple(round(0.02 * index, 2) for index in range(100))
    whole = {"passed": seconds, "watched": 0.0, "spent": 0.0, "ranks": ranks}
    return GateState.model_validate({**whole, **changes})


def reason(state: GateState, value: ChunkValue, *, tenant_left: float = RICH) -> GateReason:
    return evaluate_gate(state, value, LIMITS, tenant_left=tenant_left).reason


def test_a_proposed_moment_is_looked_at() -> None:
    assert reason(known(), chunk(has_moment=True)) is GateReason.MOMENT


def test_at_the_start_only_one_that_would_be_shown_is() -> None:
    assert reason(GateState(), chunk(has_moment=True, promising=True)) is GateReason.MOMENT
    assert reason(GateState(), chunk(has_moment=True)) is GateReason.SHARE_USED


def test_a_piece_that_stands_out_is_looked_at() -> None:
    assert reason(known(), chunk(rank=1.9)) is GateReason.RANKED


def test_a_piece_like_the_others_is_not() -> None:
    assert reason(known(), chunk(rank=1.3)) is GateReason.QUIET


def test_in_a_dull_hour_the_least_dull_piece_does_not_stand_out() -> None:
    dull = known(ranks=[0.1] * 100)
    assert reason(dull, chunk(rank=0.8)) is GateReason.QUIET


def test_before_there_is_anything_to_compare_with_nothing_stands_out() -> None:
    assert reason(GateState(), chunk(rank=9.0)) is GateReason.QUIET


def test_a_few_are_looked_at_at_random() -> None:
    assert reason(known(), chunk(sample=0.01)) is GateReason.SAMPLED


@pytest.mark.parametrize("used", [{"watched": 0.3 * 3600.0}, {"spent": 0.2}])
def test_a_part_of_what_there_is_is_kept_for_moments_that_would_be_shown(
    used: dict[str, float],
) -> None:
    state = known(**used)
    assert reason(state, chunk(rank=1.9)) is GateReason.SHARE_USED
    assert reason(state, chunk(has_moment=True)) is GateReason.SHARE_USED
    assert reason(state, chunk(has_moment=True, promising=True)) is GateReason.MOMENT


def test_the_streams_dollars_are_a_limit_for_all() -> None:
    value = chunk(has_moment=True, promising=True)
    assert reason(known(spent=0.26), value) is GateReason.STREAM_BUDGET


def test_the_tenants_dollars_are_too() -> None:
    value = chunk(has_moment=True)
    assert reason(known(), value, tenant_left=0.001) is GateReason.TENANT_BUDGET


def test_a_quiet_piece_is_no_matter_of_money() -> None:
    assert reason(known(spent=9.0), chunk(), tenant_left=0.0) is GateReason.QUIET


@given(
    st.lists(
        st.tuples(st.floats(0.0, 12.0), st.booleans(), st.floats(0.0, 0.99), st.floats(2.0, 30.0)),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_comes_the_limits_hold(stream: list[tuple[float, bool, float, float]]) -> None:
    state = GateState()
    for rank, has_moment, sample, seconds in stream:
        value = chunk(
            rank=rank,
            has_moment=has_moment,
            promising=has_moment and sample < 0.5,
            sample=sample,
            seconds=seconds,
            video_seconds=seconds + 8.0,
            dollars=0.004,
        )
        verdict = evaluate_gate(state, value, LIMITS, tenant_left=RICH)
        paid = 0.004 if verdict.query else 0.0
        watched = value.video_seconds if verdict.query else 0.0
        state = state.after(value, watched=watched, spent=paid)
        basis = max(state.passed, WARM_UP)
        assert state.watched <= LIMITS.video_share * basis + 1e-6
        assert state.spent <= LIMITS.dollars_per_hour * basis / 3600 + 1e-6


def test_what_is_remembered_is_bounded() -> None:
    state = GateState()
    for _ in range(500):
        state = state.after(chunk())
    assert len(state.ranks) == 120
    assert state.passed == pytest.approx(500 * 24.0)
