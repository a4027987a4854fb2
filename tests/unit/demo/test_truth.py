"""Ground truth: the forms understood, and the pairing of moments with what was found."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.errors import UnusableTruthError
from demo.truth import Span, clock, compare, read_truth


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


spans = st.builds(
    lambda start, length: Span(start=start, end=start + length),
    st.floats(0, 50),
    st.floats(0.5, 20),
)


@pytest.mark.parametrize(
    "content",
    [
        {"moments": [{"start": 10, "end": 20, "peak": 15, "kind": "goal"}]},
        {"highlights": [{"start": 10, "end": 20}], "duration": 60},
        [{"start": 10, "end": 20}],
        [[10, 20]],
    ],
)
def test_every_documented_form_is_understood(tmp_path: Path, content: object) -> None:
    (moment,) = read_truth(write(tmp_path / "truth.json", content)).moments
    assert (moment.start, moment.end) == (10, 20)


def test_a_file_without_moments_is_an_empty_truth(tmp_path: Path) -> None:
    assert read_truth(write(tmp_path / "truth.json", {"moments": []})).moments == ()


@pytest.mark.parametrize(
    "content", [{"clips": []}, 7, [[1]], [["a", "b"]], [{"start": 5, "end": 5}], [[20, 10]]]
)
def test_another_form_is_refused_with_the_forms_expected(tmp_path: Path, content: object) -> None:
    with pytest.raises(UnusableTruthError, match=r'Expected \{"moments"'):
        read_truth(write(tmp_path / "truth.json", content))


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text("00:10 goal")
    with pytest.raises(UnusableTruthError, match="not a JSON file"):
        read_truth(tmp_path / "truth.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableTruthError, match=r"no truth file .*absent"):
        read_truth(tmp_path / "absent.json")


def test_one_clip_over_two_moments_finds_only_one_of_them() -> None:
    moments = [Span(start=0, end=10), Span(start=10, end=20)]
    result = compare(moments, [Span(start=0, end=20)])
    assert (len(result.matched), len(result.missed), result.false) == (1, 1, ())


def test_a_greedy_choice_is_undone_when_more_pairs_are_possible() -> None:
    moments = [Span(start=0, end=10), Span(start=8, end=18)]
    found = [Span(start=4, end=14), Span(start=0, end=5)]
    assert compare(moments, found).matched == ((0, 1), (1, 0))


def test_an_overlap_below_the_limit_is_no_match() -> None:
    result = compare([Span(start=0, end=10)], [Span(start=6, end=16)])
    assert (result.recall, result.precision) == (0.0, 0.0)


@given(spans, spans)
def test_overlap_is_symmetric_and_whole_only_for_equals(a: Span, b: Span) -> None:
    assert a.overlap(b) == b.overlap(a)
    assert 0 <= a.overlap(b) <= 1
    assert a.overlap(a) == 1


@settings(deadline=None, max_examples=50)
@given(st.lists(spans, max_size=3), st.lists(spans, max_size=4))
def test_no_other_pairing_has_more_pairs(moments: list[Span], found: list[Span]) -> None:
    result = compare(moments, found)
    padded = [*range(len(found)), *[None] * len(moments)]
    best = max(
        sum(
            j is not None and moments[i].overlap(found[j]) >= 0.3
            for i, j in enumerate(order[: len(moments)])
        )
        for order in permutations(padded, len(moments))
    )
    assert len(result.matched) == best


@given(st.lists(spans, max_size=8), st.lists(spans, max_size=8))
def test_every_moment_and_every_find_is_accounted_for_once(
    moments: list[Span], found: list[Span]
) -> None:
    result = compare(moments, found)
    assert sorted([i for i, _ in result.matched] + list(result.missed)) == list(range(len(moments)))
    assert sorted([j for _, j in result.matched] + list(result.false)) == list(range(len(found)))
    assert all(moments[i].overlap(found[j]) >= 0.3 for i, j in result.matched)


def test_positions_are_written_as_a_clock() -> None:
    assert (clock(205.9), clock(3725, "-")) == ("00:03:25", "01-02-05")
