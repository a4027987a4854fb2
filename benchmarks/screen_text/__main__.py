"""`python -m benchmarks.screen_text`: score changes read on films of real games."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.footage.films import FilmFile, find_films
from benchmarks.quality.report import machine
from benchmarks.screen_text.films import Reading, read_film
from domain.profiles.model import Hud
from infra.profiles.store import load_shipped_catalog
from tools.footage.manifest import films_folder, read_manifest

_REGIONS: Final = Path(__file__).with_name("regions.yaml")


def main() -> None:
    """Read each film with regions placed by hand and with learned ones."""
    options, console = _options(), Console(width=120)
    films = find_films(options.films, read_manifest(), set(options.splits), open_sealed=False)
    films = [each for each in films if not options.only or each.video.stem in options.only]
    if not films:
        console.print(f"There are no films of these splits in {options.films}: `make footage`.")
        return
    placed = yaml.safe_load(_REGIONS.read_text(encoding="utf-8"))
    catalog = load_shipped_catalog()
    rows: list[tuple[str, Reading]] = []
    for film in films:
        hud = catalog.get(film.entry.profile).hud
        rows += [
            (regions, read_film(film.video, film.truth, each))
            for regions, each in _huds(film, hud, placed)
        ]
    console.print(_table(rows))
    console.print("- found: changes between two keyframes that a fact reports within 6 s")
    console.print("- exact: facts whose score is the game's")
    console.print(f"- {machine()}", highlight=False)


def _huds(film: FilmFile, hud: Hud, placed: dict[str, object]) -> list[tuple[str, Hud]]:
    """Return the settings with regions by hand, where the game's are known, and without any."""
    learned = ("learned", hud)
    regions = placed.get(film.truth.film.game)
    if not isinstance(regions, dict) or film.truth.film.dressing:
        return [learned]
    return [("by hand", Hud.model_validate({**hud.model_dump(), **regions})), learned]


def _table(rows: Sequence[tuple[str, Reading]]) -> Table:
    shown = Table(box=box.SIMPLE)
    shown.add_column("film", no_wrap=True)
    shown.add_column("regions", no_wrap=True)
    for heading in ("changes", "found", "recall", "false", "per hour", "exact", "clock", "CPU"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for regions, each in rows:
        read, clocks = each.clocks
        shown.add_row(
            each.film,
            regions,
            str(each.changes),
            str(each.found),
            f"{each.recall:.2f}",
            str(each.false),
            f"{each.false_per_hour:.0f}",
            f"{each.exact} of {each.facts}",
            f"{clocks} of {read}" if read else "-",
            f"{each.cpu_share:.2%}",
        )
    return shown


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.screen_text", description=main.__doc__
    )
    parser.add_argument(
        "--splits", nargs="+", choices=("fit", "validate"), default=["fit", "validate"]
    )
    parser.add_argument("--films", type=Path, default=films_folder(), help="folder of the films")
    parser.add_argument("--only", nargs="+", metavar="FILM", help="names of films to read")
    return parser.parse_args()


if __name__ == "__main__":
    main()
