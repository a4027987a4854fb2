"""The report file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.report import FoundHighlight, Report, SegmentCount, write_report

REPORT = Report(
    duration=300.0,
    highlights=(
        FoundHighlight(
            start=20.0,
            end=31.5,
            peak=26.0,
            score=0.91,
            dimensions={"rarity": 0.4},
            clip=Path("/clips/00-00-26_goal.mp4"),
            latency=7.25,
        ),
    ),
    segments=SegmentCount(published=150, missed=1),
)


def test_it_has_exactly_the_documented_form(tmp_path: Path) -> None:
    write_report(REPORT, tmp_path / "out" / "report.json")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == {
        "duration": 300.0,
        "highlights": [
            {
                "start": 20.0,
                "end": 31.5,
                "peak": 26.0,
                "score": 0.91,
                "dimensions": {"rarity": 0.4},
                "clip": "/clips/00-00-26_goal.mp4",
                "latency": 7.25,
            }
        ],
        "segments": {"published": 150, "missed": 1},
    }


def test_an_unwritable_place_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OSError, match=r"report\.json"):
        write_report(REPORT, tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
