"""`python -m benchmarks.quality.evaluate VIDEO --truth FILE`: the benchmark on your own video."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.quality.comparison import Subject, judge, run
from benchmarks.quality.measurements import measure
from benchmarks.quality.printing import show
from benchmarks.quality.report import CORE_HOUR_USD, Report, machine
from benchmarks.quality.tools import installed
from benchmarks.quality.truth import Wanted, read_ground_truth
from benchmarks.quality.truth.wanted import HIGHLIGHT_LABELS
from demo.errors import DemoError
from infra.profiles.store import load_shipped_catalog


def main() -> None:
    """Find the moments of a video and compare them with a ground-truth file.

    The file may be ours ({"moments": [{"start": 61, "end": 70}]}, seconds), JSON lines of
    QVHighlights or Labels-v2.json of SoccerNet.
    """
    options = _options()
    try:
        report = _evaluate(options)
    except DemoError as error:
        sys.exit(f"error: {error}")
    show(report, Console(width=110))
    if options.report is not None:
        options.report.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _evaluate(options: argparse.Namespace) -> Report:
    video: Path = options.video
    truth = read_ground_truth(
        options.truth,
        Wanted(
            name=video.stem,
            video_id=options.video_id,
            half=options.half,
            labels=tuple(options.labels),
            before=options.before,
            after=options.after,
        ),
    )
    match = load_shipped_catalog().match(options.game)
    profile = load_shipped_catalog().get(match.profile_id)
    with Console(stderr=True).status(f"measuring {video.name}"):
        measured = measure(video, home=options.home, fresh=options.fresh)
        truth.check(measured.duration)
        subject = Subject(video.name, truth, measured, profile)
        outcome = run([subject])
    return Report(
        machine=machine(),
        core_hour_usd=options.core_hour_usd,
        tools=installed(),
        groups=(judge(video.name, outcome, core_hour_usd=options.core_hour_usd),),
        duration=measured.duration,
        notes=(
            f"{len(truth.moments)} true moments ({truth.form}), {measured.duration:.0f} s of video",
            *truth.notes,
            f"profile {profile.id}: {match.reason}",
        ),
    )


def _options() -> argparse.Namespace:
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    usual = Wanted()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality.evaluate", description=main.__doc__
    )
    parser.add_argument("video", type=Path, help="any video file")
    parser.add_argument("--truth", type=Path, required=True, help="its true moments")
    parser.add_argument("--game", default="", help="any name people use for the game")
    parser.add_argument("--video-id", help="QVHighlights: its `vid`, else the file's name")
    parser.add_argument("--half", type=int, choices=(1, 2), help="SoccerNet: the half it shows")
    parser.add_argument(
        "--labels", nargs="+", default=HIGHLIGHT_LABELS, help="SoccerNet: what counts as a moment"
    )
    parser.add_argument("--before", type=_length, default=usual.before, help="SoccerNet: seconds")
    parser.add_argument("--after", type=_length, default=usual.after, help="SoccerNet: seconds")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    parser.add_argument("--fresh", action="store_true", help="use no measurements made before")
    parser.add_argument("--core-hour-usd", type=float, default=CORE_HOUR_USD)
    parser.add_argument("--report", type=Path, help="write the results here, as JSON")
    return parser.parse_args()


def _length(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"a length in seconds is 0 or more, not {text}")
    return seconds


if __name__ == "__main__":
    main()
