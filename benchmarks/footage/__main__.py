"""`python -m benchmarks.footage`: the local analyzer on films of real games."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.footage.films import FilmResult, Scores, SealedError, find_films, try_film
from benchmarks.quality.report import machine
from demo.errors import DemoError
from domain.analysis.fusion import Fusion
from infra.profiles.store import load_shipped_catalog
from tools.fit.fitting import fitted
from tools.fit.table import read_table
from tools.footage.manifest import Split, films_folder, read_manifest

_FIGURES = ("peak_recall", "peak_ap", "ap_50", "ap_70", "covered")


class FootageReport(BaseModel):
    """Everything measured."""

    machine: str
    films: tuple[FilmResult, ...]


def main() -> None:
    """Compare the product with loudness peaks and evenly spaced clips, by game."""
    options, console = _options(), Console(width=140)
    try:
        films = find_films(
            options.films, read_manifest(), set(options.splits), open_sealed=options.open_sealed
        )
    except SealedError as error:
        sys.exit(f"error: {error}")
    if not films:
        console.print(f"There are no films of these splits in {options.films}: `make footage`.")
        return
    catalog, results = load_shipped_catalog(), []
    for film in films:
        try:
            fusion = _fitted_without(film.truth.film.game)
            results.append(try_film(film, catalog, home=options.home, fusion=fusion))
        except DemoError as error:
            sys.exit(f"error: {film.video.name}: {error}")
        print(f"{film.video.stem}: done", file=sys.stderr, flush=True)
    for group in dict.fromkeys(result.group for result in results):
        console.print(_table(group, [each for each in results if each.group == group]))
    console.print("- means of the films; baselines: their best parameters for each film, and as")
    console.print("  many clips as the product with the default profile and fill: best_of")
    console.print(
        "- start, end: median errors of the bounds of clips that hit a moment (IoU >= 0.3)"
    )
    console.print(f"- {machine()}", highlight=False)
    if options.report is not None:
        report = FootageReport(machine=machine(), films=tuple(results))
        options.report.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")


@cache
def _fitted_without(game: str) -> Fusion:
    """Return the weights that are fitted on all other games."""
    return fitted([film for film in read_table().films if film.game != game])


def _table(group: str, results: Sequence[FilmResult]) -> Table:
    seconds, moments = sum(r.duration for r in results), sum(r.moments for r in results)
    title = (
        f"{group} ({results[0].split}): {len(results)} films, {seconds:.0f} s, {moments} moments"
    )
    shown = Table(title=title, box=box.SIMPLE, title_justify="left")
    shown.add_column("", no_wrap=True)
    for heading in (
        "clips",
        "peak recall",
        "peak AP",
        "AP@0.5",
        "AP@0.7",
        "covered",
        "start",
        "end",
        "CPU",
    ):
        shown.add_column(heading, justify="right", no_wrap=True)
    for method in dict.fromkeys(name for result in results for name in result.methods):
        scores = [result.methods[method] for result in results if method in result.methods]
        shown.add_row(
            method,
            f"{_mean(each.clips for each in scores):.1f}",
            *(f"{_mean(getattr(each, figure) for each in scores):.2f}" for figure in _FIGURES),
            _seconds(each.start_error for each in scores),
            _seconds(each.end_error for each in scores),
            _cpu(scores),
        )
    return shown


def _mean(values: Iterable[float]) -> float:
    every = list(values)
    return sum(every) / len(every)


def _seconds(values: Iterable[float | None]) -> str:
    known = [each for each in values if each is not None]
    return f"{_mean(known):.1f} s" if known else "-"


def _cpu(scores: Sequence[Scores]) -> str:
    known = [each.cpu_share for each in scores if each.cpu_share is not None]
    return f"{_mean(known):.2%}" if known else "-"


def _options() -> argparse.Namespace:
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footage", description=main.__doc__)
    parser.add_argument("--splits", nargs="+", choices=get_args(Split), default=["fit", "validate"])
    parser.add_argument("--open-sealed", action="store_true", help="allow the sealed games")
    parser.add_argument("--films", type=Path, default=films_folder(), help="folder of the films")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    parser.add_argument("--report", type=Path, help="write the results here, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
