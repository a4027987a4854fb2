"""Ground-truth files are told apart by what is in them; a bad one says where and what to do."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.truth import GroundTruth, Moment, Wanted, read_ground_truth
from benchmarks.quality.truth.ground_truth import merged
from demo.errors import UnusableTruthError

_OURS = {"moments": [{"start": 61, "end": 70, "peak": 65, "kind": "goal"}]}
_QVHIGHLIGHTS = {
    "qid": 1,
    "query": "a goal",
    "vid": "abc_0.0_150.0",
    "duration": 150,
    "relevant_windows": [[60, 70]],
    "relevant_clip_ids": [30, 31],
    "saliency_scores": [[4, 3, 2], [4, 4, 1]],
}
_SOCCERNET = {
    "annotations": [
        {"gameTime": "1 - 01:05", "label": "Goal", "position": "65000", "team": "home",
         "visibility": "visible"},
    ]
}  # fmt: skip


def _read(tmp_path: Path, text: str, wanted: Wanted | None = None) -> GroundTruth:
    file = tmp_path / "truth"
    file.write_text(text, encoding="utf-8")
    return read_ground_truth(file, wanted or Wanted(name="video"))


@pytest.mark.parametrize(
    ("content", "form"),
    [(_OURS, "ours"), (_QVHIGHLIGHTS, "QVHighlights"), (_SOCCERNET, "SoccerNet")],
)
def test_the_content_determines_the_format(
    tmp_path: Path, content: dict[str, object], form: str
) -> None:
    truth = _read(tmp_path, json.dumps(content))
    assert truth.form == form
    assert len(truth.moments) == 1
    assert truth.moments[0].start <= 65 <= truth.moments[0].end


@pytest.mark.parametrize("content", [_OURS, _QVHIGHLIGHTS, _SOCCERNET])
def test_how_the_file_is_laid_out_does_not_matter(
    tmp_path: Path, content: dict[str, object]
) -> None:
    plain = _read(tmp_path, json.dumps(content))
    assert _read(tmp_path, "\ufeff" + json.dumps(content, indent=2) + "\n\n") == plain


def test_our_form_keeps_peaks_and_kinds(tmp_path: Path) -> None:
    (moment,) = _read(tmp_path, json.dumps(_OURS)).moments
    assert moment == Moment(start=61, end=70, peak=65, kind="goal")


def test_pairs_of_times_are_enough(tmp_path: Path) -> None:
    truth = _read(tmp_path, "[[90, 99], [61, 70]]")
    assert [(moment.start, moment.end) for moment in truth.moments] == [(61, 70), (90, 99)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("no json", "is not JSON"),
        ("[1, 2", "is not JSON"),
        ('{"moments": [{"start": 9, "end": 3}]}', "must end after it starts"),
        ('{"moments": [{"start": NaN, "end": 3}]}', "finite"),
        ('{"annotation": []}', "no list of moments"),
        ('{"a": 1}\n{"b": 2}\n', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UnusableTruthError, match=words):
        _read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableTruthError, match=r"no truth file .*nowhere"):
        read_ground_truth(tmp_path / "nowhere", Wanted())


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "truth").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UnusableTruthError, match="cannot be read as text"):
        read_ground_truth(tmp_path / "truth", Wanted())


def test_moments_after_the_end_of_the_video_are_those_of_another_one(tmp_path: Path) -> None:
    truth = _read(tmp_path, json.dumps(_OURS))
    truth.check(62.0)
    with pytest.raises(UnusableTruthError, match=r"Is it the truth of this video\?"):
        truth.check(60.0)


def test_a_truth_without_moments_cannot_be_compared_with(tmp_path: Path) -> None:
    with pytest.raises(UnusableTruthError, match="names no moment"):
        _read(tmp_path, '{"moments": []}').check(60.0)


def test_overlapping_moments_become_one_with_the_first_peak() -> None:
    told = merged(
        [Moment(start=5, end=15, peak=12, kind="goal"), Moment(start=0, end=9, peak=4, kind="shot")]
    )
    assert told == (Moment(start=0, end=15, peak=4, kind="shot, goal"),)


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0.5, 60)), max_size=10))
def test_merging_leaves_no_overlap_and_loses_no_instant(drawn: list[tuple[float, float]]) -> None:
    moments = [Moment(start=start, end=start + length) for start, length in drawn]
    told = merged(moments)
    assert all(one.end <= other.start for one, other in pairwise(told))
    for moment in moments:
        assert any(one.start <= moment.start and moment.end <= one.end for one in told)
