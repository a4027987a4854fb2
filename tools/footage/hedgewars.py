"""The recipe for Hedgewars: two teams of hedgehogs take turns to shoot at each other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from tools.footage.desktop import HEIGHT, WIDTH, DesktopGame, Launch
from tools.footage.truth import Event, Moment, around

_MARK: Final = "FILM"
_SCRIPT: Final = "Missions/Training/film.lua"
_TEAMS: Final = ("Reds", "Blues")
_THEMES: Final = ("Nature", "Island", "Desert", "City", "Snow")
_MATCH: Final = """\
local function say(what, gear, value)
  WriteLnToConsole("MARK " .. what .. " " .. GetHogTeamName(gear) .. " " .. value)
end
function onGameInit()
  Seed = "film SEED"
  GameFlags = 0
  TurnTime = 25000
  Ready = 1000
  CaseFreq = 2
  MinesNum = 6
  Explosives = 4
  SuddenDeathTurns = 99
  Theme = "THEME"
  for number, name in ipairs({"Reds", "Blues"}) do
    AddTeam(name, number, "Simple", "Island", "Default", "hedgewars")
    for hog = 1, 6 do AddHog(name .. hog, SKILL, 150, "NoHat") end
  end
end
function onAmmoStoreInit()
  local arms = {amBazooka, amGrenade, amShotgun, amDEagle, amMortar, amClusterBomb, amSkip}
  for _, ammo in ipairs(arms) do SetAmmo(ammo, 9, 0, 0, 0) end
end
function onGearDamage(gear, damage)
  if GetGearType(gear) == gtHedgehog then say("damage", gear, damage) end
end
function onGearDelete(gear)
  if GetGearType(gear) == gtHedgehog then say("death", gear, 0) end
end
function onNewTurn() say("turn", CurrentHedgehog, 0) end
"""
"""The match, in the game's own scripting language."""


class Artillery(DesktopGame):
    """A match of two teams of six. The film shows all of it.

    Moments: a hedgehog that dies; a turn that costs hedgehogs 60 points of health or more. Other
    damage is a minor event.
    """

    kind = "artillery"
    pictures = "Hedgewars of Debian; its script interface is the truth"
    players = "two teams of the game's own players, of like skill"
    packages = ("hedgewars",)
    programs = ("hwengine",)
    rate = 44_100
    chunk = 1024
    begins = f"{_MARK} turn".encode()
    heavy: ClassVar[int] = 60

    def launch(self, folder: Path, seed: int) -> Launch:
        data = folder / "data"
        script = data / "Data" / _SCRIPT
        script.parent.mkdir(parents=True)
        match = _MATCH.replace("MARK", _MARK).replace("SEED", str(seed))
        match = match.replace("THEME", _THEMES[seed % len(_THEMES)])
        script.write_text(match.replace("SKILL", str(2 + seed % 3)), encoding="utf-8")
        return Launch(
            (
                *("hwengine", "--internal", "--port", str(_start_frontend())),
                *("--prefix", "/usr/share/games/hedgewars/Data", "--user-prefix", str(data)),
                *("--width", str(WIDTH), "--height", str(HEIGHT)),
                *("--nomusic", "--volume", "100"),
            ),
            log=data / "Logs" / "game0.log",
        )

    def read(self, line: str) -> Sequence[Event]:
        match line.partition(f"{_MARK} ")[2].split():
            case ["damage", team, points]:
                return [Event(at=0, kind="damage", side=1 - _TEAMS.index(team), points=int(points))]
            case ["death" | "turn" as what, team, _]:
                return [Event(at=0, kind=what, side=_TEAMS.index(team))]
        return []

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        moments: list[Moment] = []
        turn: list[Event] = []
        for event in (*events, Event(at=float("inf"), kind="turn")):
            if event.kind == "death":
                moments.append(around(event, "death", 1.0, before=5, after=2.5))
            if event.kind == "damage":
                turn.append(event)
            if event.kind == "turn":
                if sum(hit.points for hit in turn) >= self.heavy:
                    first, last = turn[0].at, turn[-1]
                    moments.append(around(last, "heavy hit", 0.8, before=4, after=2.5, since=first))
                turn = []
        return moments


def _start_frontend() -> int:
    """Answer the game as its menu would, in the background, and return the port to do so on."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_answer, args=(server,), daemon=True).start()
    return int(server.getsockname()[1])


def _answer(server: socket.socket) -> None:
    """Serve one game until it ends. A message is its length in a byte, and its text."""
    with server, server.accept()[0] as game, game.makefile("rwb") as wire:
        while length := wire.read(1):
            message = wire.read(length[0])
            answers = {b"C": ("TL", f"escript {_SCRIPT}", "!"), b"?": ("!",)}
            for answer in answers.get(message[:1], ()):
                wire.write(bytes([len(answer)]) + answer.encode())
            wire.flush()
