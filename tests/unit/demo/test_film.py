"""`make demo FILM=` finds a film by the name of its game."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.errors import FilmError
from demo.film import find_film
from tools.footage.manifest import read_manifest


def test_a_film_is_made_when_its_truth_is_written(tmp_path: Path) -> None:
    film = find_film(tmp_path, "arena", seed=3)
    film.video.parent.mkdir()
    film.video.touch()
    assert not film.is_made
    film.truth.touch()
    assert find_film(tmp_path, "arena", seed=3).is_made
    assert not find_film(tmp_path, "arena", seed=4).is_made


def test_a_film_is_analyzed_with_the_profile_of_its_game(tmp_path: Path) -> None:
    assert find_film(tmp_path, "ice-hockey", seed=1).game == "hockey"
    assert find_film(tmp_path, "arena", seed=1).game is None


def test_an_unknown_film_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(FilmError, match=r"no film arenas\. There are: arena, .*tennis\."):
        find_film(tmp_path, "arenas", seed=1)


@pytest.mark.parametrize(
    "game", [game for game, entry in read_manifest().items() if entry.split == "sealed"]
)
def test_a_sealed_game_is_not_played(tmp_path: Path, game: str) -> None:
    with pytest.raises(FilmError, match=f"{game} is sealed"):
        find_film(tmp_path, game, seed=1)
