"""`python -m benchmarks.quality`: how well the product finds moments on matches it has not seen."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.quality.comparison import Outcome, joined, judge, run
from benchmarks.quality.matches import MatchWanted, measured
from benchmarks.quality.printing import show
from benchmarks.quality.product import PROFILES
from benchmarks.quality.report import CORE_HOUR_USD, Report, machine
from benchmarks.quality.tools import installed
from demo.errors import DemoError
from demo.match import GENERATOR_VERSION

BLIND_SEEDS: Final = (601, 602, 603)
"""Matches that nothing was tuned on, for each kind; to be replaced once something is."""

SPENT_SEEDS: Final = frozenset({*range(1, 7), *range(201, 210), *range(301, 304)})
"""Those that something was tuned on, or changed after they had been looked at."""


def main() -> None:
    """Compare the product with simple methods, and with itself in parts, on scripted matches."""
    options = _options()
    console, began = Console(width=110), time.monotonic()
    try:
        outcomes = _outcomes(options, console)
    except DemoError as error:
        sys.exit(f"error: {error}")
    report = Report(
        machine=machine(),
        core_hour_usd=options.core_hour_usd,
        tools=installed(),
        groups=tuple(
            judge(name, outcome, core_hour_usd=options.core_hour_usd)
            for name, outcome in outcomes.items()
        ),
        generator_version=GENERATOR_VERSION,
        duration=options.duration,
        notes=(_told_of_seeds(options.seeds, options.duration),),
    )
    show(report, console)
    console.print(f"- took {time.monotonic() - began:.0f} s", highlight=False)
    if options.report is not None:
        options.report.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _outcomes(options: argparse.Namespace, console: Console) -> dict[str, Outcome]:
    """Return what every method finds, by kind of match and, if there are several, in all."""
    wanted = [
        MatchWanted(
            kind=kind,
            seed=seed,
            duration=options.duration,
            home=options.home,
            fresh=options.fresh,
        )
        for kind in options.kinds
        for seed in options.seeds
    ]
    outcomes: dict[str, Outcome] = {}
    with console.status(f"making and measuring {len(wanted)} matches") as status:
        subjects = measured(wanted, done=lambda name: status.update(f"{name} is measured"))
        for kind, of_kind in subjects.items():
            status.update(f"{kind}: every method on {len(of_kind)} matches")
            outcomes[kind] = run(of_kind)
    if len(outcomes) > 1:
        outcomes["all kinds"] = joined(list(outcomes.values()))
    return outcomes


def _options() -> argparse.Namespace:
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=main.__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=BLIND_SEEDS)
    parser.add_argument("--kinds", nargs="+", choices=list(PROFILES), default=list(PROFILES))
    parser.add_argument("--duration", type=float, default=300.0, help="seconds of each match")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    parser.add_argument("--fresh", action="store_true", help="use no measurements made before")
    parser.add_argument("--core-hour-usd", type=float, default=CORE_HOUR_USD)
    parser.add_argument("--report", type=Path, help="write the results here, as JSON")
    return parser.parse_args()


def _told_of_seeds(seeds: Sequence[int], duration: float) -> str:
    blind = "blind: nothing was tuned on them" if SPENT_SEEDS.isdisjoint(seeds) else "not blind"
    return f"matches of {duration:g} s, seeds {', '.join(map(str, seeds))} of each kind, {blind}"


if __name__ == "__main__":
    main()
