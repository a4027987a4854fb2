"""`python -m benchmarks.feeds`: alignment of a feed with a hidden delay, and what the feed adds.

Each match is measured once (`benchmarks.quality` keeps it); then detection and selection follow it
with many feeds. Delay: uniform in -8 to 15 s. Jitter: normal, 0.5 s. A fifth of all events are
moves of odds that mean nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.feeds.scripted import FollowedFeed, at_face_value, script_feed
from benchmarks.quality.comparison import Subject
from benchmarks.quality.measurements import measure
from benchmarks.quality.metrics import hits, nearest_rank
from benchmarks.quality.product import PROFILES, Clip, follow
from benchmarks.quality.report import machine
from benchmarks.quality.truth import Wanted, read_ground_truth
from demo.match import ensure_match
from infra.profiles.store import load_shipped_catalog

_IOU: Final = 0.3
_P95: Final = 0.95


@dataclass
class Tally:
    """What was found over all feeds; errors in seconds, None while the offset is unknown."""

    moments: int = 0
    found: int = 0
    clips: int = 0
    errors: list[float | None] = field(default_factory=list)

    def add(self, clips: Sequence[Clip], subject: Subject, feed: FollowedFeed | None) -> None:
        """Count the clips of one match, and the error at its end if five events were sent."""
        moments = subject.truth.moments
        self.moments += len(moments)
        self.clips += len(clips)
        self.found += sum(hits(clips, moments, _IOU))
        if feed is not None and feed.errors:
            self.errors.append(feed.errors[-1])

    def row(self, name: str) -> list[str]:
        """Return the figures as a row of the table."""
        known = sorted(each for each in self.errors if each is not None)
        return [
            name,
            f"{self.found / self.moments:.3f}",
            f"{(self.clips - self.found) / self.clips if self.clips else 0.0:.3f}",
            f"{len(known)} of {len(self.errors)}" if self.errors else "-",
            f"{nearest_rank(known, _P95):.2f} s" if known else "-",
        ]


def main() -> None:
    """Follow each match without a feed, with feeds, and with the same feeds at face value."""
    options = _options()
    began = time.monotonic()
    without, aligned, believed = Tally(), Tally(), Tally()
    for seed in options.seeds:
        subject = _subject(options, seed)
        without.add(follow(subject.measured, subject.profile).clips, subject, None)
        for number in range(options.feeds):
            feed = script_feed(
                subject.truth,
                duration=subject.measured.duration,
                seed=1000 * seed + number,
            )
            for tally, followed in (
                (aligned, FollowedFeed(feed, subject.profile)),
                (believed, at_face_value(feed, subject.profile)),
            ):
                found = follow(subject.measured, subject.profile, feed=followed)
                tally.add(found.clips, subject, followed)
    table = Table(box=box.SIMPLE, title_justify="left")
    for heading in ("", "recall", "false clips", "offset known", "alignment error p95"):
        table.add_column(heading)
    for name, tally in (
        ("without a feed", without),
        ("feed, offset estimated", aligned),
        ("feed at face value", believed),
    ):
        table.add_row(*tally.row(name))
    console = Console(width=110)
    console.print(table)
    for note in (
        f"{len(options.seeds)} matches of {options.duration:g} s, {options.feeds} feeds each",
        f"{without.moments} moments",
        "recall and false clips at IoU 0.3; error at the end of feeds with five events or more",
        machine(),
        f"took {time.monotonic() - began:.0f} s",
    ):
        console.print(f"- {note}", highlight=False, markup=False, soft_wrap=True)


def _subject(options: argparse.Namespace, seed: int) -> Subject:
    made = ensure_match(
        options.home,
        seed=seed,
        duration=options.duration,
        kind=options.kind,
        spacing=options.spacing,
    )
    return Subject(
        f"{options.kind}-{seed}",
        read_ground_truth(made.truth, Wanted()),
        measure(made.video, home=options.home),
        load_shipped_catalog().get(PROFILES[options.kind]),
    )


def _options() -> argparse.Namespace:
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feeds", description=main.__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[601, 602, 603])
    parser.add_argument("--kind", choices=sorted(PROFILES), default="soccer")
    parser.add_argument("--duration", type=float, default=600.0, help="seconds of each match")
    parser.add_argument("--spacing", type=float, default=60.0, help="seconds between moments")
    parser.add_argument("--feeds", type=int, default=20, help="feeds of each match")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    return parser.parse_args()


if __name__ == "__main__":
    main()
