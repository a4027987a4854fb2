"""Films of real games, as `tools.footage` makes and keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from demo.errors import FilmError
from tools.footage.manifest import read_manifest


class GameFilm(NamedTuple):
    """A film and its truth, which may not be made yet; `game` is the profile, None for any."""

    name: str
    seed: int
    video: Path
    game: str | None

    @property
    def truth(self) -> Path:
        """The truth file; it is written last, so the film is whole when it exists."""
        return self.video.with_suffix(".json")

    @property
    def is_made(self) -> bool:
        """Return True if the film and its truth exist."""
        return self.video.exists() and self.truth.exists()


def find_film(home: Path, name: str, *, seed: int) -> GameFilm:
    """Return the film of a game with this seed.

    Raises:
        FilmError: no recipe has this name, or the game is sealed.
    """
    manifest = read_manifest()
    open_games = sorted(game for game, entry in manifest.items() if entry.split != "sealed")
    if name not in manifest:
        raise FilmError(f"There is no film {name}. There are: {', '.join(open_games)}.")
    if name not in open_games:
        raise FilmError(
            f"{name} is sealed for the final measurement, so it is not analyzed before. "
            f"Others: {', '.join(open_games)}."
        )
    profile = manifest[name].profile
    return GameFilm(
        name=name,
        seed=seed,
        video=home / "footage" / f"{name}-{seed}.mp4",
        game=None if profile == "default" else profile,
    )
