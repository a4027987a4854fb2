"""The sports a match can be scripted in, as data: what can happen and how it shows."""

from __future__ import annotations

from typing import Final, Literal

from demo.match.script import Color, Sound
from demo.model import Model

Range = tuple[float, float]


class Recipe(Model):
    """How one kind of moment is played; ranges are drawn from for each.

    Attributes:
        before: seconds of build-up in the moment.
        hold: seconds for which the crowd stays at its height.
        crowd: dB over the crowd's bed.
        voice: the commentator's excitement, in [0, 1].
        attack: whether the play rushes to a goal, or stands still.
        hush: whether the crowd falls silent before it.
        score: whose score changes: the side in attack (1), nobody's (0), a goal is taken back (-1).
        banner: a caption that appears at the peak.
        signal: what the referee blows, and how many seconds before the peak.
    """

    kind: str
    before: Range
    hold: Range
    crowd: Range
    voice: Range
    attack: bool = True
    hush: bool = False
    score: Literal[-1, 0, 1] = 0
    banner: str = ""
    signal: float | None = None


class Sport(Model):
    """One kind of match."""

    recipes: tuple[Recipe, ...]
    players: int
    field: Literal["pitch", "court", "arena"]
    field_colors: tuple[Color, ...]
    touch: Sound
    touch_interval: Range
    referee: Sound
    points: int
    routine_rise: Range
    routine_interval: Range
    clock_down: bool


_SOCCER: Final = Sport(
    recipes=(
        Recipe(
            kind="goal", before=(3, 6), hold=(2.5, 4.5), crowd=(15, 19), voice=(0.9, 1.0), score=1
        ),
        Recipe(
            kind="near_miss", before=(3, 5.5), hold=(0.8, 1.6), crowd=(10, 14), voice=(0.8, 0.95)
        ),
        Recipe(
            kind="penalty_save",
            before=(3.5, 5.5),
            hold=(1.8, 3.2),
            crowd=(13, 17),
            voice=(0.85, 1.0),
            hush=True,
            signal=3.0,
        ),
        Recipe(
            kind="red_card",
            before=(2.5, 4),
            hold=(2, 3.5),
            crowd=(11, 15),
            voice=(0.65, 0.85),
            attack=False,
            banner="RED CARD",
            signal=1.6,
        ),
        Recipe(
            kind="goal", before=(3, 5), hold=(2.5, 4.5), crowd=(14, 18), voice=(0.85, 1.0), score=1
        ),
        Recipe(
            kind="var_overturn",
            before=(3, 4.5),
            hold=(2, 3.5),
            crowd=(12, 16),
            voice=(0.7, 0.9),
            attack=False,
            hush=True,
            score=-1,
            banner="VAR: NO GOAL",
        ),
        Recipe(kind="woodwork", before=(2.5, 5), hold=(1, 2), crowd=(11, 15), voice=(0.8, 0.95)),
        Recipe(
            kind="goal_line_save", before=(3, 5), hold=(1.4, 2.6), crowd=(12, 16), voice=(0.8, 1.0)
        ),
    ),
    players=11,
    field="pitch",
    field_colors=((58, 128, 52), (46, 112, 60), (84, 134, 48)),
    touch="kick",
    touch_interval=(0.9, 2.8),
    referee="whistle",
    points=1,
    routine_rise=(1, 4),
    routine_interval=(7, 14),
    clock_down=False,
)

_BASKETBALL: Final = Sport(
    recipes=(
        Recipe(
            kind="dunk", before=(2.5, 4), hold=(1.5, 3), crowd=(13, 17), voice=(0.85, 1.0), score=1
        ),
        Recipe(kind="block", before=(2.5, 4), hold=(1.2, 2.4), crowd=(12, 16), voice=(0.8, 0.95)),
        Recipe(
            kind="long_three",
            before=(3, 4.5),
            hold=(1.8, 3),
            crowd=(13, 17),
            voice=(0.85, 1.0),
            score=1,
        ),
        Recipe(
            kind="ejection",
            before=(2.5, 4),
            hold=(2, 3),
            crowd=(11, 15),
            voice=(0.65, 0.85),
            attack=False,
            banner="EJECTED",
            signal=1.4,
        ),
        Recipe(
            kind="buzzer_beater",
            before=(3, 5),
            hold=(2.5, 4),
            crowd=(15, 19),
            voice=(0.9, 1.0),
            hush=True,
            score=1,
            signal=-0.3,
        ),
        Recipe(
            kind="steal_and_score",
            before=(3, 5),
            hold=(1.4, 2.6),
            crowd=(12, 16),
            voice=(0.8, 0.95),
            score=1,
        ),
        Recipe(
            kind="overturned_call",
            before=(3, 4.5),
            hold=(2, 3),
            crowd=(12, 15),
            voice=(0.7, 0.9),
            attack=False,
            score=-1,
            banner="CALL OVERTURNED",
        ),
    ),
    players=5,
    field="court",
    field_colors=((176, 124, 72), (160, 110, 84), (188, 140, 90)),
    touch="bounce",
    touch_interval=(0.45, 0.8),
    referee="buzzer",
    points=2,
    routine_rise=(3, 6),
    routine_interval=(5, 9),
    clock_down=True,
)

_ESPORTS: Final = Sport(
    recipes=(
        Recipe(
            kind="ace",
            before=(3.5, 6),
            hold=(2, 3.5),
            crowd=(14, 18),
            voice=(0.9, 1.0),
            score=1,
            banner="ACE",
        ),
        Recipe(
            kind="clutch",
            before=(3.5, 6),
            hold=(2, 3.5),
            crowd=(14, 18),
            voice=(0.9, 1.0),
            hush=True,
            score=1,
        ),
        Recipe(kind="team_fight", before=(3, 5), hold=(1.5, 3), crowd=(12, 16), voice=(0.85, 1.0)),
        Recipe(
            kind="objective_steal",
            before=(3, 5),
            hold=(1.5, 2.5),
            crowd=(12, 16),
            voice=(0.85, 0.95),
        ),
        Recipe(
            kind="defuse",
            before=(3, 5),
            hold=(1.5, 3),
            crowd=(12, 16),
            voice=(0.8, 0.95),
            hush=True,
            score=1,
        ),
        Recipe(
            kind="failed_dive", before=(2.5, 4.5), hold=(1, 2), crowd=(11, 14), voice=(0.8, 0.9)
        ),
    ),
    players=5,
    field="arena",
    field_colors=((52, 58, 76), (44, 64, 60), (70, 54, 72)),
    touch="shot",
    touch_interval=(0.5, 3.5),
    referee="swoosh",
    points=1,
    routine_rise=(1, 5),
    routine_interval=(7, 14),
    clock_down=True,
)

SPORTS: Final = {"soccer": _SOCCER, "basketball": _BASKETBALL, "esports": _ESPORTS}
