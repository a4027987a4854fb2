"""The recipe for Armagetron Advanced: light cycles that leave walls behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from tools.footage.desktop import DesktopGame, Key, Launch
from tools.footage.truth import Event, Moment, around

_OWN: Final = "ada"
_SETTINGS: Final = """\
FIRST_USE 0
LANGUAGE_FIRST American English
LANGUAGE_SECOND American English
ARMAGETRON_SCREENMODE 0
ARMAGETRON_WINDOWSIZE 0
ARMAGETRON_LAST_WINDOWSIZE 0
FULLSCREEN 0
KEEP_WINDOW_ACTIVE 1
PLAYER_1 Ada
SOUND_QUALITY 2
SHOW_FPS 0
SHOW_RECORDING_TIME 0
"""
_RULES: Final = """\
CHATBOT_ALWAYS_ACTIVE 1
CHATBOT_DECAY 0
CHATBOT_MIN_TIMESTEP .05
CHATBOT_RANGE 2
CHATBOT_NEW_WALL_BLINDNESS 0
LADDERLOG_WRITE_ALL 1
SP_AUTO_AIS 0
SP_AI_IQ {skill}
SP_NUM_AIS {opponents}
SP_TEAM_MAX_PLAYERS 1
SP_TEAMS_MIN {teams}
SP_TEAMS_MAX 16
SP_SIZE_FACTOR -1
"""


class Cycles(DesktopGame):
    """Light cycles, each against all. The film follows one player, and others after its crash.

    Moments: a crash that the player causes, and the end of a round that it wins. Its own crash and
    those of others are minor events.
    """

    kind = "arcade"
    pictures = "Armagetron Advanced of Debian; its ladder log is the truth"
    players = "the game's own chat bot for the player, against the game's own opponents"
    packages = ("armagetronad",)
    programs = ("armagetronad.real",)
    rate = 22_050
    chunk = 512
    begins = b"NEW_ROUND"
    keys: ClassVar[tuple[Key, ...]] = (
        Key(3, "Return"),
        Key(1.5, "Return"),
        Key(1.5, "Down"),
        Key(1.5, "Return"),
    )

    def launch(self, folder: Path, seed: int) -> Launch:
        state, rules = folder / "state", folder / "rules"
        state.mkdir()
        rules.mkdir()
        (state / "user.cfg").write_text(_SETTINGS, encoding="utf-8")
        opponents = 4 + seed % 3
        text = _RULES.format(skill=60 + seed % 5 * 10, opponents=opponents, teams=opponents + 1)
        (rules / "autoexec.cfg").write_text(text, encoding="utf-8")
        return Launch(
            (
                *("armagetronad.real", "--datadir", "/usr/share/games/armagetronad"),
                *("--configdir", "/etc/armagetronad", "--userconfigdir", str(rules)),
                *("--vardir", str(state)),
            ),
            log=state / "ladderlog.txt",
        )

    def read(self, line: str) -> Sequence[Event]:
        match line.split():
            case ["DEATH_FRAG", victim, killer]:
                if killer == _OWN:
                    return [Event(at=0, kind="kill", points=1)]
                return [Event(at=0, kind=_crash(victim), side=1)]
            case ["DEATH_SUICIDE", victim]:
                return [Event(at=0, kind=_crash(victim), side=1)]
            case ["ROUND_WINNER", winner, *_]:
                own = winner == _OWN
                return [Event(at=0, kind="round won" if own else "round over", side=int(not own))]
            case ["NEW_MATCH", *_]:
                return [Event(at=0, kind="match over")]
        return []

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        weights = {"round won": 1.0, "kill": 0.9}
        return [
            around(event, event.kind, weights[event.kind], before=4, after=2.5)
            for event in events
            if event.kind in weights
        ]


def _crash(victim: str) -> str:
    return "own crash" if victim == _OWN else "crash"
