from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import tools.footage.__main__ as command
from tools.footage.manifest import Entry


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the films that are made, in order."""
    names: list[str] = []
    entry = Entry(split="fit", profile="default", seeds=(1, 2), minutes=1, dressed=(1,))
    monkeypatch.setattr(command, "read_manifest", lambda: {"arena": entry, "boxing": entry})

    def make(path: Path) -> None:
        names.append(path.stem)
        path.with_suffix(".json").write_text("{}")

    monkeypatch.setattr(
        command, "film", lambda game, *, seed, folder, **_: make(folder / f"{game}-{seed}.mp4")
    )
    monkeypatch.setattr(command, "_dress_film", lambda _, copy, *__: make(copy))
    return names


def options(out: Path) -> argparse.Namespace:
    return argparse.Namespace(games=["arena", "boxing"], out=out)


def test_every_game_has_its_first_film_before_any_has_its_second(
    made: list[str], tmp_path: Path
) -> None:
    command._film_all(options(tmp_path))

    films = [name for name in made if not name.endswith("-dressed")]
    assert films == ["arena-1", "boxing-1", "arena-2", "boxing-2"]


def test_only_the_films_that_are_listed_have_a_dressed_copy(
    made: list[str], tmp_path: Path
) -> None:
    command._film_all(options(tmp_path))

    assert [name for name in made if name.endswith("-dressed")] == [
        "arena-1-dressed",
        "boxing-1-dressed",
    ]


def test_a_film_that_exists_is_not_made_again(made: list[str], tmp_path: Path) -> None:
    command._film_all(options(tmp_path))
    made.clear()

    command._film_all(options(tmp_path))

    assert made == []
