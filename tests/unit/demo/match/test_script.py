"""A script is a function of its seed, and keeps its promises about what happens when."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demo.match.direct import MIN_SPACING, write_script
from demo.match.moments import CALM, HUSHED
from demo.match.script import Truth, strongest
from demo.match.sport import SPORTS

seeds = st.integers(0, 10_000)
kinds = st.sampled_from(sorted(SPORTS))


@given(seed=seeds, kind=kinds)
@settings(max_examples=10, deadline=None)
def test_the_same_seed_gives_the_same_script_and_the_same_bytes_of_truth(
    seed: int, kind: str
) -> None:
    one, other = (write_script(seed=seed, kind=kind) for _ in range(2))
    assert one == other
    assert one.truth.model_dump_json() == other.truth.model_dump_json()


def test_seeds_and_kinds_differ_in_what_happens() -> None:
    scripts = [write_script(seed=seed, kind=kind) for seed in (1, 2) for kind in SPORTS]
    assert len({script.truth.moments for script in scripts}) == len(scripts)


@given(seed=seeds, kind=kinds, duration=st.floats(12, 700))
@settings(max_examples=60, deadline=None)
def test_moments_are_spaced_last_six_to_sixteen_seconds_and_lie_within_the_match(
    seed: int, kind: str, duration: float
) -> None:
    truth = write_script(seed=seed, duration=duration, kind=kind).truth
    assert truth.moments
    for moment in truth.moments:
        assert moment.start <= moment.peak <= moment.end
        assert 5.99 <= moment.end - moment.start <= 16.01
    for before, after in pairwise(truth.moments):
        assert after.peak - before.peak >= MIN_SPACING - 0.02
    if duration >= 60:
        assert truth.moments[0].start >= 0
        assert truth.moments[-1].end <= duration


@given(seed=seeds, kind=kinds)
@settings(max_examples=40, deadline=None)
def test_no_distractor_overlaps_a_moment(seed: int, kind: str) -> None:
    truth = write_script(seed=seed, kind=kind).truth
    for distractor in truth.distractors:
        assert 0 <= distractor.start < distractor.end <= truth.duration
        for moment in truth.moments:
            assert distractor.end <= moment.start or moment.end <= distractor.start


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_full_match_has_more_distractors_than_moments_and_many_kinds_of_them(seed: int) -> None:
    truth = write_script(seed=seed).truth
    assert len(truth.moments) == 5
    assert len(truth.distractors) > 2 * len(truth.moments)
    assert len({distractor.kind for distractor in truth.distractors}) >= 8


@given(seed=seeds, kind=kinds)
@example(seed=5879, kind="soccer")  # a near miss before a hushed crowd
@settings(max_examples=20, deadline=None)
def test_the_crowd_rises_and_the_commentator_shouts_at_each_peak_as_its_recipe_says(
    seed: int, kind: str
) -> None:
    """A hushed crowd and a calm commentator are still louder than in play."""
    script = write_script(seed=seed, kind=kind)
    for moment in script.truth.moments:
        recipes = [each for each in SPORTS[kind].recipes if each.kind == moment.kind]
        crowd = min(each.crowd[0] for each in recipes) - HUSHED[1]
        voice = min(each.voice[0] for each in recipes) * CALM[0]
        around = np.arange(moment.peak, moment.end, 0.01)
        assert strongest(script.crowd, around).max() > 0.98 * crowd > 2.5
        assert strongest(script.voice, around).max() > 0.98 * voice > 0.3


@pytest.mark.parametrize(
    ("wanted", "words"),
    [({"duration": 11.0}, "at least 12"), ({"kind": "chess"}, "soccer"), ({"spacing": 20.0}, "32")],
)
def test_an_impossible_match_is_refused_with_what_would_be_possible(
    wanted: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        write_script(seed=1, **wanted)


def test_a_calm_match_has_fewer_moments_and_fills_the_time_between_with_distractors() -> None:
    dense, calm = (write_script(seed=5, duration=900.0, spacing=every).truth for every in (60, 180))
    assert (len(dense.moments), len(calm.moments)) == (15, 5)
    assert len(calm.distractors) > len(dense.distractors)


def test_truth_survives_its_file() -> None:
    truth = write_script(seed=3).truth
    assert Truth.model_validate_json(truth.model_dump_json()) == truth
