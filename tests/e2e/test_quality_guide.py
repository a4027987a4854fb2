"""Every command of docs/quality.md as it stands, and the benchmark itself, on a short match."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from demo.match import Match
from demo.match.script import Truth
from tests.e2e.conftest import MATCH_DURATION, MATCH_SEED
from tests.e2e.installation import ROOT

pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs" / "quality.md").read_text("utf-8")
COMMANDS = re.findall(r"^```bash\n(\.venv/bin/python .*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
OURS, QVHIGHLIGHTS, SOCCERNET = range(3)

_LIMIT = 200.0


@pytest.fixture(scope="module")
def reader(match: Match, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files that the guide speaks of."""
    directory = tmp_path_factory.mktemp("reader")
    truth = Truth.model_validate_json(match.truth.read_text("utf-8"))
    for name in ("match.mp4", "NUsG9BgSes0_210.0_360.0.mp4", "1_720p.mkv"):
        (directory / name).symlink_to(match.video)
    (directory / "truth.json").write_text(match.truth.read_text("utf-8"), "utf-8")
    clips = [
        clip
        for clip in range(int(truth.duration // 2))
        if any(moment.start <= 2 * clip and 2 * clip + 2 <= moment.end for moment in truth.moments)
    ]
    row = {
        "qid": 1,
        "query": "what happens",
        "vid": "NUsG9BgSes0_210.0_360.0",
        "duration": truth.duration,
        "relevant_windows": [[moment.start, moment.end] for moment in truth.moments],
        "relevant_clip_ids": clips,
        "saliency_scores": [[4, 4, 3]] * len(clips),
    }
    other = row | {"qid": 2, "vid": "another"}
    (directory / "val.jsonl").write_text(f"{json.dumps(other)}\n{json.dumps(row)}\n", "utf-8")
    labels = {
        "annotations": [
            {
                "gameTime": f"1 - {int(moment.peak // 60):02d}:{int(moment.peak % 60):02d}",
                "label": "Goal",
                "position": str(round(moment.peak * 1000)),
                "team": "home",
                "visibility": "visible",
            }
            for moment in truth.moments
        ]
    }
    (directory / "Labels-v2.json").write_text(json.dumps(labels), "utf-8")
    return directory


def _run(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    arguments = shlex.split(command.replace("\\\n", ""))
    assert arguments[0] == ".venv/bin/python"
    return subprocess.run(
        [sys.executable, *arguments[1:]],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "110"},
        check=False,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
    )


@pytest.mark.parametrize(
    ("number", "form"), [(OURS, "ours"), (QVHIGHLIGHTS, "QVHighlights"), (SOCCERNET, "SoccerNet")]
)
def test_a_reader_sees_how_good_the_product_is_on_a_video_of_his_own(
    number: int, form: str, reader: Path
) -> None:
    done = _run(COMMANDS[number], reader)
    assert done.returncode == 0, done.stderr
    assert f"2 true moments ({form})" in done.stdout
    rows = dict(re.findall(r"^ +(product|uniform)  +(.*?) *$", done.stdout, re.MULTILINE))
    _, precision, recall, *_ = rows["product"].split()
    assert (precision, recall) == ("1.00", "1.00")


def test_the_figures_can_be_had_as_json(reader: Path) -> None:
    done = _run(f"{COMMANDS[OURS].strip()} --report report.json", reader)
    assert done.returncode == 0, done.stderr
    report = json.loads((reader / "report.json").read_text("utf-8"))
    product = report["groups"][0]["rows"][0]
    assert product["method"] == "product"
    assert product["videos"]["match.mp4"]["recall"] == 1.0


def test_the_benchmark_says_what_it_stands_on(match: Match, reader: Path) -> None:
    command = (
        f".venv/bin/python -m benchmarks.quality --kinds soccer --seeds {MATCH_SEED} "
        f"--duration {MATCH_DURATION:g} --report benchmark.json"
    )
    done = _run(command, reader)
    assert done.returncode == 0, done.stderr
    report = json.loads((reader / "benchmark.json").read_text("utf-8"))
    assert [group["name"] for group in report["groups"]] == ["soccer"]
    assert report["groups"][0]["videos"] == [f"soccer-{match.seed}"]
    assert "blind: nothing was tuned on them" in report["notes"][0]
    assert report["machine"] in done.stdout


def test_a_truth_that_is_none_ends_with_a_sentence(reader: Path) -> None:
    (reader / "broken.json").write_text('{"moments": [{"start": 9, "end": 3}]}', "utf-8")
    command = COMMANDS[OURS].replace("truth.json", "broken.json")
    done = _run(command, reader)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "must end after it starts" in done.stderr


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon"])
def test_a_length_that_is_none_is_refused(seconds: str, reader: Path) -> None:
    done = _run(f"{COMMANDS[OURS].strip()} --before {seconds}", reader)
    assert done.returncode == 2
    assert "--before: a length in seconds" in done.stderr


def test_the_guide_has_a_command_for_each_form() -> None:
    assert len(COMMANDS) == 3
