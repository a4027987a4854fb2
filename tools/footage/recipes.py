"""All recipes, by the name of their game on the command line."""

from __future__ import annotations

from typing import Final

from tools.footage.atari import Basketball, Boxing, IceHockey, Racing, RiverRaid, Tennis
from tools.footage.cycles import Cycles
from tools.footage.doom import Arena, Horde
from tools.footage.game import Game
from tools.footage.hedgewars import Artillery

RECIPES: Final[dict[str, type[Game]]] = {
    "arena": Arena,
    "horde": Horde,
    "ice-hockey": IceHockey,
    "basketball": Basketball,
    "tennis": Tennis,
    "boxing": Boxing,
    "racing": Racing,
    "river-raid": RiverRaid,
    "cycles": Cycles,
    "artillery": Artillery,
}
