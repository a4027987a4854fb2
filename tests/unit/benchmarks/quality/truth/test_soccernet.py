"""SoccerNet: instants of both halves of a match; a video shows one half."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality.truth import GroundTruth, Wanted, read_ground_truth
from demo.errors import UnusableTruthError


def _action(game_time: str, label: str, **changes: object) -> dict[str, object]:
    return {"gameTime": game_time, "label": label, "team": "home", "visibility": "visible"} | (
        changes
    )


_ACTIONS = (
    _action("1 - 00:50", "Kick-off", position="50000"),
    _action("1 - 02:00", "Goal", position="120400"),
    _action("2 - 10:00", "Red card", position="600000"),
    _action("2 - 20:00", "Goal", position="1200000", visibility="not shown"),
)


def _read(tmp_path: Path, wanted: Wanted, *actions: dict[str, object]) -> GroundTruth:
    file = tmp_path / "Labels-v2.json"
    file.write_text(json.dumps({"annotations": list(actions or _ACTIONS)}), encoding="utf-8")
    return read_ground_truth(file, wanted)


def test_an_instant_becomes_a_moment_around_it(tmp_path: Path) -> None:
    (goal,) = _read(tmp_path, Wanted(half=1, before=4, after=6)).moments
    assert [goal.start, goal.peak, goal.end] == pytest.approx([116.4, 120.4, 126.4])
    assert goal.kind == "Goal"


def test_what_the_broadcast_does_not_show_is_left_out_and_said(tmp_path: Path) -> None:
    truth = _read(tmp_path, Wanted(half=2))
    assert [moment.kind for moment in truth.moments] == ["Red card"]
    assert "1 that the broadcast does not show left out" in truth.notes


@pytest.mark.parametrize(("name", "kind"), [("1_720p", "Goal"), ("2_224p", "Red card")])
def test_the_name_of_a_soccernet_video_determines_the_half(
    tmp_path: Path, name: str, kind: str
) -> None:
    assert _read(tmp_path, Wanted(name=name)).moments[0].kind == kind


def test_the_only_half_need_not_be_named(tmp_path: Path) -> None:
    truth = _read(tmp_path, Wanted(name="video"), _ACTIONS[2])
    assert [moment.kind for moment in truth.moments] == ["Red card"]


def test_of_two_halves_one_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableTruthError, match="half with --half"):
        _read(tmp_path, Wanted(name="video"))


def test_other_labels_can_count(tmp_path: Path) -> None:
    truth = _read(tmp_path, Wanted(half=1, labels=("Kick-off",)))
    assert [moment.kind for moment in truth.moments] == ["Kick-off"]


def test_labels_that_do_not_occur_are_answered_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(UnusableTruthError, match=r"none of goal in half 1.*Goal, Kick-off"):
        _read(tmp_path, Wanted(half=1, labels=("goal",)))


def test_without_a_position_the_time_of_the_match_counts(tmp_path: Path) -> None:
    (goal,) = _read(tmp_path, Wanted(half=1), _action("1 - 02:05", "Goal")).moments
    assert goal.peak == 125


def test_actions_close_together_are_one_moment(tmp_path: Path) -> None:
    truth = _read(
        tmp_path,
        Wanted(half=1),
        _action("1 - 02:00", "Shots on target"),
        _action("1 - 02:04", "Goal"),
    )
    assert [moment.kind for moment in truth.moments] == ["Shots on target, Goal"]


def test_a_moment_does_not_begin_before_the_video(tmp_path: Path) -> None:
    (goal,) = _read(tmp_path, Wanted(half=1), _action("1 - 00:02", "Goal")).moments
    assert goal.start == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gameTime": "3 - 01:00"}, "gameTime"),
        ({"gameTime": "1 - 01:75"}, "gameTime"),
        ({"label": 7}, "label"),
        ({"position": "soon"}, "position"),
        ({"position": -5}, "position"),
    ],
)
def test_a_wrong_annotation_is_named_by_its_number(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(UnusableTruthError, match=rf"annotation 2, .*{words}"):
        _read(tmp_path, Wanted(half=1), _ACTIONS[1], _action("1 - 03:00", "Goal") | changes)
