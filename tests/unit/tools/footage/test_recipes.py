"""Recipes film real time or steps alike, and read what a game's log says."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from tools.footage.cycles import Cycles
from tools.footage.desktop import DesktopGame
from tools.footage.game import FootageError, Step, SteppedGame
from tools.footage.hedgewars import Artillery
from tools.footage.manifest import read_manifest
from tools.footage.recipes import RECIPES
from tools.footage.recorder import Format
from tools.footage.truth import Event, Moment, around


class Flicker(SteppedGame):
    """A game whose picture turns brighter with each frame."""

    kind = "test"
    pictures = "made here"
    players = "none"

    def missing(self) -> str:
        return ""

    def format(self) -> Format:
        return Format(width=64, height=48, fps=10, rate=8000, channels=1)

    def play(self, seed: int) -> Iterator[Step]:
        for number in range(1000):
            picture = np.full((48, 64, 3), number * 10 % 250, np.uint8)
            sound = np.full((800, 1), seed, np.int16)
            yield Step(picture, sound, (Event(at=number / 10, kind="tick"),))

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        return [around(event, event.kind, 1.0, before=0, after=1) for event in events[:1]]


def test_a_film_has_as_many_frames_and_as_much_sound_as_the_game_s_clock_says(
    tmp_path: Path,
) -> None:
    events = Flicker().film(tmp_path / "film.mp4", seed=5, seconds=2)
    assert [event.at for event in events] == [number / 10 for number in range(20)]
    with av.open(tmp_path / "film.mp4") as film:
        assert film.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in film.decode(video=0)) == 20
    with av.open(tmp_path / "film.mp4") as film:
        heard = sum(frame.samples / frame.sample_rate for frame in film.decode(audio=0))
    assert heard == pytest.approx(2, abs=0.1)


def test_every_game_has_a_recipe_and_a_split() -> None:
    assert set(read_manifest()) == set(RECIPES)


def test_a_desktop_game_that_is_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Cycles, "programs", ("no-such-game",))
    with pytest.raises(FootageError, match="apt-get install armagetronad xvfb"):
        next(Cycles().play(1))


def test_cycles_tells_the_player_s_crashes_from_others() -> None:
    log = (
        "DEATH_FRAG linux ada",
        "DEATH_FRAG ada linux",
        "DEATH_SUICIDE gltron",
        "ROUND_WINNER ada ada",
        "POSITIONS ada ada",
        "",
    )
    kinds = [event.kind for line in log for event in Cycles().read(line)]
    assert kinds == ["kill", "own crash", "crash", "round won"]


def test_artillery_counts_damage_for_the_other_team() -> None:
    game = Artillery()
    (hit,) = game.read("11516: [Con] Lua: FILM damage Blues 40")
    assert (hit.kind, hit.side, hit.points) == ("damage", 0, 40)
    assert game.read("11516: [Cmd] /setweap ?") == []


def test_a_turn_of_heavy_damage_and_a_death_are_moments() -> None:
    def hit(at: float, points: int) -> Event:
        return Event(at=at, kind="damage", points=points)

    events = [
        *(hit(10, 30), hit(11, 40), Event(at=20, kind="turn")),
        *(hit(30, 50), Event(at=40, kind="turn")),
        *(hit(50, 20), Event(at=52, kind="death")),
    ]
    assert [(moment.kind, moment.peak) for moment in Artillery().judge(events)] == [
        ("heavy hit", 11),
        ("death", 52),
    ]


def test_hedgewars_is_told_which_match_to_play(tmp_path: Path) -> None:
    launch = Artillery().launch(tmp_path, seed=7)
    port = int(launch.command[launch.command.index("--port") + 1])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as game:
        game.sendall(b"\x01C")
        wire = game.makefile("rb")
        commands = [wire.read(wire.read(1)[0]).decode() for _ in range(3)]
    assert commands == ["TL", "escript Missions/Training/film.lua", "!"]
    script = (tmp_path / "data/Data/Missions/Training/film.lua").read_text(encoding="utf-8")
    assert 'Seed = "film 7"' in script


@pytest.mark.parametrize("game", [g for g in RECIPES.values() if issubclass(g, DesktopGame)])
def test_each_seed_of_a_desktop_game_starts_another_match(
    tmp_path: Path, game: type[DesktopGame]
) -> None:
    def settings(seed: int) -> list[str]:
        folder = tmp_path / str(seed)
        folder.mkdir()
        game().launch(folder, seed)
        return [file.read_text() for file in sorted(folder.rglob("*")) if file.is_file()]

    assert settings(1) != settings(2)
