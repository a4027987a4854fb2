"""The recipe for Nexuiz: a duel of two of the game's bots, seen with the eyes of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.footage.desktop import DesktopGame, Launch
from tools.footage.truth import Event, Moment, around, bursts, lead_changes

_MAPS: Final = ("runningman_1on1remix", "strength", "basement", "stormkeep")
_SPECTATE_AT: Final = 8
"""Seconds of the game's clock after which the camera goes to a player."""
_FIRST: Final = "2"
"""The game's number of the first bot; the camera's own is 1."""


class Duel(DesktopGame):
    """A duel to no end. Every frag is one of the player that the film follows, or its death.

    Moments: frags that equalize or take the lead; two frags of one player or more, any two within
    six seconds. Other frags and suicides are minor events.
    """

    kind = "duel"
    pictures = "Nexuiz of Debian; its event log is the truth"
    players = "two of the game's own bots"
    packages = ("nexuiz",)
    programs = ("darkplaces",)
    speed = 0.25
    rate = 48_000
    chunk = 2048
    settle = 15.0

    def launch(self, folder: Path, seed: int) -> Launch:
        settings = {
            "vid_width": "1280",
            "vid_height": "720",
            "vid_fullscreen": "0",
            "sv_eventlog": "1",
            "sv_eventlog_console": "0",
            "sv_eventlog_files": "1",
            "bot_number": "2",
            "minplayers": "0",
            "skill": str(4 + seed % 4),
            "fraglimit_override": "0",
            "timelimit_override": "0",
            "gametype": "dm",
            "_cl_name": "Ada",
            "map": _MAPS[seed % len(_MAPS)],
        }
        return Launch(
            (
                *("darkplaces", "-nexuiz", "-basedir", "/usr/share/games/nexuiz", "-nojoy"),
                *("+exec", "effects-low.cfg"),
                *(word for name, value in settings.items() for word in (f"+{name}", value)),
                *("+defer", f"{_SPECTATE_AT} +attack", "+defer", f"{_SPECTATE_AT + 1} -attack"),
            ),
            log=folder / ".nexuiz/data/data/nexuiz00000001.log",
        )

    def read(self, line: str) -> Sequence[Event]:
        match line.split(":"):
            case ["", "kill", "frag", killer, *_]:
                return [Event(at=0, kind="frag", side=_side(killer), points=1)]
            case ["", "kill", _, victim, *_]:
                return [Event(at=0, kind="suicide", side=_side(victim), points=-1)]
        return []

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        weights = {"equalizer": 0.8, "lead": 1.0}
        runs = [
            run
            for side in (0, 1)
            for run in bursts(
                [event for event in events if event.kind == "frag" and event.side == side],
                count=2,
                within=6.0,
            )
        ]
        return [
            *(
                around(event, f"frag, {what}", weights[what], before=4, after=2.5)
                for event, what in lead_changes(events, restart=lambda _: False)
                if event.kind == "frag" and what in weights
            ),
            *(
                around(run[-1], "frags in a row", 0.9, before=3, after=2.5, since=run[0].at)
                for run in runs
            ),
        ]


def _side(player: str) -> int:
    return int(player != _FIRST)
