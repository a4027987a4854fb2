"""`python -m tools.fit table|compare|fit`: the weights of the local analyzer's fusion."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

import domain.analysis.fusion
from benchmarks.footage.films import find_films
from domain.analysis.fusion import CHANNELS
from tools.fit.comparison import Result, judge, searched
from tools.fit.fitting import UNUSABLE, fitted
from tools.fit.models import MODELS, SOUNDS, unheard
from tools.fit.table import FilmTable, SignalTable, extract, read_table, state_home, write_table
from tools.footage.manifest import films_folder, read_manifest

_WEIGHTS: Final = Path(domain.analysis.fusion.__file__).with_name("fusion.json")


def main() -> None:
    """Make the table of signals, compare the models, or fit the weights."""
    parser = argparse.ArgumentParser(prog="python -m tools.fit", description=main.__doc__)
    parser.add_argument("command", choices=["table", "compare", "fit"])
    parser.add_argument("--films", type=Path, default=films_folder(), help="folder of the films")
    options = parser.parse_args()
    if options.command == "table":
        found = find_films(options.films, read_manifest(), {"fit", "validate"}, open_sealed=False)
        films = {each.film: each for each in read_table().films}
        films |= {film.video.stem: extract(film, home=state_home()) for film in found}
        write_table(SignalTable(films=tuple(films[name] for name in sorted(films))))
        return
    table = read_table().films
    if options.command == "compare":
        _compare([film for film in table if film.game not in UNUSABLE])
    else:
        _WEIGHTS.write_text(fitted(table).model_dump_json(indent=1) + "\n", encoding="utf-8")


def _compare(films: Sequence[FilmTable]) -> None:
    """Print each model on games left out; scores of the first two are no logits (no ECE)."""
    heard = [film for film in films if film.heard]
    for name, fit in {**MODELS, "turns": searched}.items():
        _show(name, judge(fit, heard))
    for channel in (*SOUNDS, "motion", "cut"):
        _show(f"turns without {channel}", judge(searched, _held(heard, channel)))
    _show("turns without all sound", judge(searched, [*map(unheard, films)]))


def _show(name: str, result: Result) -> None:
    games = "  ".join(f"{game} {value:.2f}" for game, value in result.peak_ap.items())
    Console(width=150).print(
        f"{name:32} peak AP {result.mean:.3f} [{result.low:.3f}, {result.high:.3f}]  "
        f"ECE {result.ece:.3f}  {games}",
        highlight=False,
        markup=False,
    )


def _held(films: Sequence[FilmTable], channel: str) -> list[FilmTable]:
    """Return the films with a channel that is always as usual."""
    index = list(CHANNELS).index(channel)
    return [
        film.model_copy(
            update={"rises": tuple((*r[:index], 0.0, *r[index + 1 :]) for r in film.rises)}
        )
        for film in films
    ]


if __name__ == "__main__":
    main()
