"""`highlights demo`, as a user runs it on a file of theirs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from demo.match import Match
from demo.match.script import Truth
from demo.playback import playback_problem
from domain.score import DIMENSIONS
from tests.e2e.conftest import Stack
from tests.e2e.installation import ROOT, command
from tests.factories.media import make_video

pytestmark = [pytest.mark.stack, pytest.mark.slow]
LIMIT = 240.0


def run_demo(*arguments: str | float | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("demo", *map(str, arguments)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


async def test_it_finds_the_moments_of_a_file_and_reports_them(
    match: Match, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "report.json"
    done = run_demo("--input", match.video, "--truth", match.truth, "--pace", 4, "--report", path)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(path.read_text())
    assert report.keys() == {"duration", "highlights", "segments"}
    assert report["duration"] == pytest.approx(90.0, abs=0.1)
    assert report["segments"] == {"published": 45, "missed": 0}
    truth = Truth.model_validate_json(match.truth.read_text())
    for moment, highlight in zip(truth.moments, report["highlights"], strict=True):
        assert moment.start < highlight["peak"] < moment.end
        await assert_a_highlight_is_whole(highlight)
    assert f"{len(truth.moments)} of {len(truth.moments)} moments found" in done.stdout


async def assert_a_highlight_is_whole(highlight: dict[str, Any]) -> None:
    assert highlight.keys() == {
        *("start", "end", "peak", "score", "dimensions", "clip", "latency"),
    }
    assert highlight["start"] <= highlight["peak"] <= highlight["end"]
    assert 0 < highlight["score"] <= 1
    assert highlight["dimensions"].keys() == set(DIMENSIONS)
    assert 0 < highlight["latency"] < LIMIT
    clip = Path(highlight["clip"])
    assert clip.is_absolute()
    length = highlight["end"] - highlight["start"]
    assert await playback_problem(clip, duration=length, video=True, audio=True) is None


def test_a_file_in_which_nothing_happens_gives_no_clip(tmp_path: Path) -> None:
    still = ("-vf", "drawbox=t=fill:color=gray", "-af", "volume=0", "-shortest")
    video = make_video(tmp_path / "still.mp4", seconds=20, options=still)
    report = tmp_path / "report.json"
    done = run_demo("--input", video, "--pace", 4, "--report", report)
    assert done.returncode == 1
    assert "No highlight was found" in done.stdout
    assert json.loads(report.read_text())["highlights"] == []


def test_it_plays_to_an_api_that_runs_and_leaves_it_running(stack: Stack, tmp_path: Path) -> None:
    still = ("-vf", "drawbox=t=fill:color=gray", "-af", "volume=0", "-shortest")
    video = make_video(tmp_path / "still.mp4", seconds=12, options=still)
    before = stack.running
    done = run_demo(
        *("--input", video, "--pace", 4),
        *("--against", before.api_url, "--key", before.api_key or ""),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No highlight was found in this video" in done.stdout
    assert "6 segments published, 0 missed" in done.stdout
    assert f"{before.api_url}/docs" in done.stdout
    assert stack.running == before


@pytest.mark.parametrize("content", [None, b"", b"not a video"])
def test_an_input_that_is_no_video_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "input.mp4"
    if content is not None:
        path.write_bytes(content)
    done = run_demo("--input", path)
    assert done.returncode == 2
    assert "input.mp4" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
