"""QVHighlights: JSON lines, a query each, about two-second clips that three people scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality.truth import GroundTruth, Wanted, read_ground_truth
from demo.errors import UnusableTruthError


def _row(**changes: object) -> dict[str, object]:
    return {
        "qid": 8737,
        "query": "A family is playing basketball.",
        "duration": 12,
        "vid": "one_0.0_12.0",
        "relevant_windows": [[2, 6]],
        "relevant_clip_ids": [1, 2],
        "saliency_scores": [[4, 1, 2], [3, 4, 2]],
    } | changes


def _read(tmp_path: Path, *rows: object, wanted: Wanted | None = None) -> GroundTruth:
    file = tmp_path / "val.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return read_ground_truth(file, wanted or Wanted(name="video"))


def test_windows_are_moments_and_very_good_clips_are_highlights(tmp_path: Path) -> None:
    truth = _read(tmp_path, _row())
    assert [(moment.start, moment.end) for moment in truth.moments] == [(2, 6)]
    assert truth.relevance == (
        (False, True, False, False, False, False),
        (False, False, True, False, False, False),
        (False, False, False, False, False, False),
    )


def test_queries_about_one_video_are_taken_together(tmp_path: Path) -> None:
    second = _row(
        qid=2,
        relevant_windows=[[4, 8], [10, 12]],
        relevant_clip_ids=[5],
        saliency_scores=[[0, 0, 4]],
    )
    truth = _read(tmp_path, _row(), second)
    assert [(moment.start, moment.end) for moment in truth.moments] == [(2, 8), (10, 12)]
    assert truth.relevance is not None
    assert [sum(clips) for clips in truth.relevance] == [1, 1, 1]
    assert truth.notes == ("2 queries about one_0.0_12.0 taken together",)


def test_the_video_is_found_by_its_file_name(tmp_path: Path) -> None:
    other = _row(qid=2, vid="two", relevant_windows=[[8, 10]])
    truth = _read(tmp_path, _row(), other, wanted=Wanted(name="two"))
    assert truth.moments[0].start == 8


def test_the_video_can_be_named(tmp_path: Path) -> None:
    other = _row(qid=2, vid="two", relevant_windows=[[8, 10]])
    truth = _read(tmp_path, _row(), other, wanted=Wanted(name="one_0.0_12.0", video_id="two"))
    assert truth.moments[0].start == 8


@pytest.mark.parametrize("wanted", [Wanted(name="video"), Wanted(name="video", video_id="three")])
def test_a_video_that_the_file_does_not_know_is_refused(tmp_path: Path, wanted: Wanted) -> None:
    with pytest.raises(UnusableTruthError, match=r"--video-id: one_0\.0_12\.0, two"):
        _read(tmp_path, _row(), _row(qid=2, vid="two"), wanted=wanted)


def test_without_scores_the_windows_say_what_is_a_highlight(tmp_path: Path) -> None:
    truth = _read(tmp_path, _row(relevant_clip_ids=[], saliency_scores=[]))
    assert truth.relevance is None
    assert truth.relevance_over(12.0) == ((False, True, True, False, False, False),)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"relevant_windows": [[6, 2]]}, "must end after it starts"),
        ({"relevant_windows": [[2]]}, "relevant_windows"),
        ({"relevant_clip_ids": [1]}, "1 relevant_clip_ids have 2 saliency_scores"),
        ({"relevant_clip_ids": [1, 6]}, "clip 6 lies beyond the last of 12 s, 5"),
        ({"saliency_scores": [[5, 0, 0], [0, 0, 0]]}, "saliency_scores"),
        ({"duration": 0}, "duration"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(UnusableTruthError, match=rf"line 2, .*{words}"):
        _read(tmp_path, _row(vid="other"), _row(**changes), wanted=Wanted(name="one_0.0_12.0"))


def test_rows_about_other_videos_are_not_looked_into(tmp_path: Path) -> None:
    wrong = _row(vid="other", duration=-1)
    truth = _read(tmp_path, wrong, _row(), wanted=Wanted(video_id="one_0.0_12.0"))
    assert len(truth.moments) == 1


def test_the_test_split_has_no_answers(tmp_path: Path) -> None:
    row = _row()
    del row["relevant_windows"]
    with pytest.raises(UnusableTruthError, match="Use the train or val split"):
        _read(tmp_path, row)


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "val.jsonl").write_text(json.dumps(_row()) + "\n{broken\n", encoding="utf-8")
    with pytest.raises(UnusableTruthError, match="line 2, is not JSON"):
        read_ground_truth(tmp_path / "val.jsonl", Wanted())


def test_a_line_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableTruthError, match="line 2, has no `qid` and `vid`"):
        _read(tmp_path, _row(), {"moments": []})
