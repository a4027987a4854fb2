"""Films real games with their sound, and writes their true moments from the game's own state."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from tools.footage.desktop import DesktopGame
from tools.footage.dressing import dress
from tools.footage.game import FootageError
from tools.footage.manifest import films_folder, read_manifest
from tools.footage.recipes import RECIPES
from tools.footage.recorder import RecordingError
from tools.footage.soundtrack import missing
from tools.footage.truth import Truth, read


def main() -> None:
    """Do what the command line says."""
    options = _options()
    # An exit like any other, so that games and the X server are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        options.do(options)
    except (FootageError, RecordingError) as error:
        sys.exit(f"error: {error}")
    except FileNotFoundError as error:
        sys.exit(f"error: There is no file {error.filename}.")
    except ValidationError as error:
        sys.exit(f"error: This is no truth file of tools.footage: {error}")


def film(
    game: str, *, seed: int, seconds: float, folder: Path, speed: float | None = None
) -> Truth:
    """Film a game into `folder`: GAME-SEED.mp4, and its truth in GAME-SEED.json.

    `speed` is how fast the clock of a desktop game runs, 1 being real time; None is its default.

    Raises:
        FootageError: the game is not installed, did not run, or has no clock to slow.
        RecordingError: ffmpeg could not write the film.
    """
    recipe = RECIPES[game]()
    if speed is not None:
        if not isinstance(recipe, DesktopGame):
            raise FootageError(f"{game} is filmed step by step: leave out --speed.")
        recipe.speed = speed
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / f"{game}-{seed}.mp4"
    began = time.monotonic()
    events = recipe.film(video, seed=seed, seconds=seconds)
    truth = recipe.truth(game, events, seed=seed, seconds=seconds)
    truth.write(video.with_suffix(".json"))
    sys.stdout.write(
        f"{video}: {seconds:.0f} s, {len(truth.moments)} moments, {len(truth.events)} events, "
        f"filmed in {time.monotonic() - began:.0f} s\n"
    )
    return truth


def judge(path: Path) -> Truth:
    """Find the moments of a film's events again, after a recipe's definition has changed.

    Raises:
        FootageError: the film is a dressed one, whose moments follow from those of the original.
    """
    old = read(path)
    if old.film.dressing:
        raise FootageError(f"{path} is of a dressed film: judge the original, and dress it again.")
    recipe = RECIPES[old.film.game]()
    truth = recipe.truth(old.film.game, old.events, seed=old.film.seed, seconds=old.film.duration)
    truth.write(path)
    return truth


def _film(options: argparse.Namespace) -> None:
    seconds = options.minutes * 60
    film(options.game, seed=options.seed, seconds=seconds, folder=options.out, speed=options.speed)


def _film_all(options: argparse.Namespace) -> None:
    manifest = read_manifest()
    games = {}
    for game in options.games or manifest:
        recipe = RECIPES[game]()
        if not options.games and (install := recipe.missing()):
            sys.stdout.write(f"{game} is left out, since it is not installed: {install}\n")
        else:
            games[game] = manifest[game]
    # Seed by seed, so that an interrupted run has films of every game.
    for seed in sorted({seed for entry in games.values() for seed in entry.seeds}):
        for game, entry in games.items():
            if seed in entry.seeds and not (options.out / f"{game}-{seed}.json").exists():
                film(game, seed=seed, seconds=entry.minutes_of(seed) * 60, folder=options.out)
            copy = options.out / f"{game}-{seed}-dressed.mp4"
            if seed in entry.dressed and not copy.with_suffix(".json").exists():
                _dress_film(options.out / f"{game}-{seed}.mp4", copy, seed)


def _judge(options: argparse.Namespace) -> None:
    for path in options.truths:
        sys.stdout.write(f"{path}: {len(judge(path).moments)} moments\n")


def _dress_film(video: Path, copy: Path, seed: int) -> None:
    """Dress a film with crowd and commentator, or without what is not installed."""
    crowd = not missing(crowd=True, voice=False)
    voice = not missing(crowd=False, voice=True)
    _say(copy, dress(video, copy, seed=seed, crowd=crowd, voice=voice))


def _dress(options: argparse.Namespace) -> None:
    truth = dress(
        options.video, options.out, seed=options.seed, crowd=options.crowd, voice=options.voice
    )
    _say(options.out, truth)


def _say(copy: Path, truth: Truth) -> None:
    dressing = ", ".join(truth.film.dressing)
    sys.stdout.write(f"{copy}: {truth.film.duration:.0f} s, {dressing}\n")


def _games(_: argparse.Namespace) -> None:
    manifest = read_manifest()
    for name, recipe in RECIPES.items():
        game = recipe()
        install = game.missing()
        state = f"not installed: {install}" if install else "installed"
        sys.stdout.write(f"{name:14}{game.kind:14}{manifest[name].split:10}{state}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.footage", description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("film", help="film one game")
    one.add_argument("game", choices=sorted(RECIPES))
    one.add_argument("--seed", type=int, required=True)
    one.add_argument("--minutes", type=float, required=True)
    one.add_argument("--out", type=Path, default=films_folder(), help="folder")
    one.add_argument("--speed", type=float, help="of a desktop game's clock; lower if too busy")
    one.set_defaults(do=_film)
    every = commands.add_parser("all", help="film what footage.toml lists and is not yet filmed")
    every.add_argument("games", nargs="*", choices=[*sorted(RECIPES), []], help="all by default")
    every.add_argument("--out", type=Path, default=films_folder(), help="folder")
    every.set_defaults(do=_film_all)
    again = commands.add_parser("judge", help="find the moments in a film's events again")
    again.add_argument("truths", type=Path, nargs="+", help="truth files of films")
    again.set_defaults(do=_judge)
    copy = commands.add_parser("dress", help="make a copy that looks like a broadcast")
    copy.add_argument("video", type=Path, help="a film, with its truth beside it")
    copy.add_argument("--seed", type=int, required=True)
    copy.add_argument("--out", type=Path, required=True, help="the copy; its truth goes beside it")
    copy.add_argument("--crowd", action="store_true", help="add recordings of crowds")
    copy.add_argument("--voice", action="store_true", help="add a synthetic commentator")
    copy.set_defaults(do=_dress)
    games = commands.add_parser("games", help="list the games, and what each needs")
    games.set_defaults(do=_games)
    return parser.parse_args()


if __name__ == "__main__":
    main()
