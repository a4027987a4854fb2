"""A dressed copy has the moments of its film, moved by what was put in between."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.footage.dressing import make_plan, move_truth
from tools.footage.manifest import read_manifest
from tools.footage.truth import Event, Film, Moment, Truth

FILM = Film(
    game="arena", kind="shooter", seed=1, duration=300, pictures="the game's", players="scripted"
)
MOMENTS = tuple(
    Moment(start=at, end=at + 8, peak=at + 5, kind="frag", weight=0.5) for at in (20, 90, 91 + 60)
)
TRUTH = Truth(
    film=FILM,
    moments=MOMENTS,
    events=tuple(Event(at=moment.peak, kind="frag", points=1) for moment in MOMENTS),
)


@given(st.integers(0, 10_000))
def test_every_second_of_the_film_is_in_the_copy_once(seed: int) -> None:
    live = [part for part in make_plan(TRUTH, seed).parts if part.kind == "live"]
    assert live[0].start == 0
    assert live[-1].end == FILM.duration
    assert all(a.end == b.start for a, b in itertools.pairwise(live))


@given(st.integers(0, 10_000))
def test_nothing_is_put_into_a_moment_and_a_replay_is_no_moment(seed: int) -> None:
    plan = make_plan(TRUTH, seed)
    moved = move_truth(TRUTH, plan, ["advert"])
    assert len(moved.moments) == len(MOMENTS)
    for before, after in zip(MOMENTS, moved.moments, strict=True):
        assert after.end - after.start == pytest.approx(before.end - before.start)
        assert all(put.end <= after.start or put.start >= after.end for put in moved.distractors)


@given(st.integers(0, 10_000))
def test_events_stay_at_the_peaks_of_their_moments(seed: int) -> None:
    moved = move_truth(TRUTH, make_plan(TRUTH, seed), [])
    assert [event.at for event in moved.events] == [moment.peak for moment in moved.moments]


def test_the_same_seed_gives_the_same_copy() -> None:
    assert make_plan(TRUTH, 7) == make_plan(TRUTH, 7)
    assert make_plan(TRUTH, 7) != make_plan(TRUTH, 8)


def test_two_games_are_sealed_and_every_split_has_games() -> None:
    splits = [entry.split for entry in read_manifest().values()]
    assert splits.count("sealed") == 2
    assert {"fit", "validate"} < set(splits)
