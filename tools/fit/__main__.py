"""`python -m tools.fit table|compare|fit`: the weights of the local analyzer's fusion."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Final

from rich.console import Console

import domain.analysis.fusion
from benchmarks.footage.films import find_films
from domain.analysis.fusion import CHANNELS, Fusion
from tools.fit.comparison import (
    calibrate,
    judge,
    leave_one_game_out,
    proposals,
    search,
    searched,
)
from tools.fit.models import MODELS, SOUNDS, Floats
from tools.fit.table import FilmTable, SignalTable, extract, read_table, state_home, write_table
from tools.footage.manifest import films_folder, read_manifest

UNUSABLE: Final = frozenset({"river-raid"})
"""Games that nothing is fitted on: moments cover nine tenths of the films of river-raid."""

_WEIGHTS: Final = Path(domain.analysis.fusion.__file__).with_name("fusion.json")


def main() -> None:
    """Make the table of signals, compare the models, or fit the weights."""
    parser = argparse.ArgumentParser(prog="python -m tools.fit", description=main.__doc__)
    parser.add_argument("command", choices=["table", "compare", "fit"])
    parser.add_argument("--films", type=Path, default=films_folder(), help="folder of the films")
    options = parser.parse_args()
    if options.command == "table":
        found = find_films(options.films, read_manifest(), {"fit", "validate"}, open_sealed=False)
        write_table(SignalTable(films=tuple(extract(film, home=state_home()) for film in found)))
        return
    films = [film for film in read_table().films if film.game not in UNUSABLE]
    if options.command == "compare":
        _compare(films)
    else:
        _WEIGHTS.write_text(fitted(films), encoding="utf-8")


def _compare(films: Sequence[FilmTable]) -> None:
    """Print each model on games left out; scores of the first two are no logits (no ECE)."""
    for name, fit in {**MODELS, "turns": searched}.items():
        _show(name, leave_one_game_out(fit, films))
    for channel in (*SOUNDS, "motion"):
        _show(f"turns without {channel}", leave_one_game_out(searched, _held(films, channel)))


def _show(name: str, scored: Sequence[tuple[FilmTable, Floats]]) -> None:
    result = judge(scored)
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


def fitted(films: Sequence[FilmTable]) -> str:
    """Return the weights as the domain reads them, calibrated on games left out."""
    scored = leave_one_game_out(searched, films)
    made = [each for film, logits in scored for each in proposals(film, logits)]
    scale, shift = calibrate(made)
    excitement, sound, motion = (scale * search(films)).tolist()
    weights = dict.fromkeys(CHANNELS, 0.0)
    weights |= dict.fromkeys(SOUNDS, round(sound / len(SOUNDS), 4)) | {"motion": round(motion, 4)}
    content = {
        "bias": round(shift, 4),
        "floor": round(quantiles((scale * each.logit + shift for each in made), n=4)[0], 4),
        "excitement": round(excitement, 4),
        "weights": weights,
    }
    version = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
    fusion = Fusion.model_validate({"version": version, **content})
    return fusion.model_dump_json(indent=1) + "\n"


if __name__ == "__main__":
    main()
