"""Moments of a film follow from the events that the game's own state gives."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.footage.truth import Event, Moment, around, bursts, lead_changes, settle

MOMENTS = st.builds(
    lambda start, length, share, weight: Moment(
        start=start, end=start + length, peak=start + share * length, kind="goal", weight=weight
    ),
    st.floats(0, 100),
    st.floats(0.5, 20),
    st.floats(0, 1),
    st.floats(0.1, 1),
)


def kills(*times: float) -> list[Event]:
    return [Event(at=at, kind="kill") for at in times]


def goal(at: float, side: int) -> Event:
    return Event(at=at, kind="goal", side=side, points=1)


def test_a_moment_begins_where_its_build_up_began() -> None:
    moment = around(goal(20.0, 0), "goal", 0.8, before=3.0, after=4.0, since=12.0)
    assert (moment.start, moment.peak, moment.end) == (9.0, 20.0, 24.0)


def test_overlapping_moments_become_the_one_that_matters_most() -> None:
    minor = Moment(start=10, end=20, peak=15, kind="shot", weight=0.4)
    major = Moment(start=18, end=30, peak=22, kind="goal", weight=0.9)
    (settled,) = settle([major, minor], duration=60)
    assert settled == Moment(start=10, end=30, peak=22, kind="goal", weight=0.9)


def test_a_moment_whose_pay_off_is_not_in_the_film_is_dropped() -> None:
    late = Moment(start=50, end=62, peak=59.5, kind="goal", weight=0.9)
    assert settle([late], duration=60) == ()


@given(st.lists(MOMENTS, max_size=12))
def test_settled_moments_are_in_the_film_in_order_and_apart(moments: list[Moment]) -> None:
    settled = settle(moments, duration=80)
    assert all(moment.start <= moment.peak <= moment.end <= 80 for moment in settled)
    assert all(a.end <= b.start for a, b in itertools.pairwise(settled))
    assert {moment.peak for moment in settled} <= {moment.peak for moment in moments}


def test_a_burst_lasts_as_long_as_its_events_come_close_together() -> None:
    (first, second) = bursts(kills(1, 2, 3, 4, 30, 50, 51, 52), count=3, within=4)
    assert [event.at for event in first] == [1, 2, 3, 4]
    assert [event.at for event in second] == [50, 51, 52]


def test_events_that_are_too_far_apart_are_no_burst() -> None:
    assert bursts(kills(0, 5, 10, 15), count=3, within=4) == []


@pytest.mark.parametrize(
    ("goals", "expected"),
    [
        ([(1, 0)], ["lead"]),
        ([(1, 0), (2, 1)], ["lead", "equalizer"]),
        ([(1, 0), (2, 0)], ["lead", "extends"]),
        ([(1, 0), (2, 0), (3, 1)], ["lead", "extends", "reduces"]),
        ([(1, 0), (2, 1), (3, 1)], ["lead", "equalizer", "lead"]),
    ],
)
def test_a_goal_is_named_by_the_score_it_makes(
    goals: list[tuple[float, int]], expected: list[str]
) -> None:
    events = [goal(at, side) for at, side in goals]
    assert [kind for _, kind in lead_changes(events, restart=lambda _: False)] == expected


def test_a_new_match_begins_at_nil_nil() -> None:
    events = [goal(1, 0), Event(at=5, kind="match over"), goal(9, 1)]
    named = lead_changes(events, restart=lambda event: event.kind == "match over")
    assert [kind for _, kind in named] == ["lead", "lead"]
