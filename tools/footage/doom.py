"""Recipes for the shooter of ViZDoom, with the free levels and pictures that it ships."""

from __future__ import annotations

import ctypes
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.footage.game import FootageError, Step, SteppedGame
from tools.footage.recorder import Format
from tools.footage.truth import Event, Moment, around, bursts

_TICS: Final = 35
_RATE: Final = 44_100
_WIDTH: Final = 1280
_HEIGHT: Final = 720
_HORIZON: Final = slice(300, 420)
"""Rows of the picture in which walls ahead are seen."""
_NEAR: Final = 8.0
"""Depth, in the engine's units of 0 to 255, below which a wall is in the way."""
_SMALLEST: Final = 60
"""Square pixels from which an opponent is seen."""
_WEAPON_TOP: Final = 380
"""Row below which only the player's own weapon begins; the engine labels it as a player."""
_LYING_SECONDS: Final = 1.5
_ENGINE: Final = "+snd_efx 0 +con_scaletext 2"
"""The engine's sound library aborts with effects on; its messages are unreadable unscaled."""


class Sight(NamedTuple):
    """What the player sees: opponents (middle, width, height in pixels), and depth by column."""

    foes: list[tuple[float, float, float]]
    depth: NDArray[np.float64]


class Player:
    """Shoots at who is in sight and else explores; its aim and nerve change every half minute."""

    def __init__(self, chance: np.random.Generator) -> None:
        self._chance = chance
        self._turn, self._stuck, self._tic, self._form_ends = 0.0, 0, 0, 0
        self._place = (0.0, 0.0)

    def act(self, sight: Sight, place: tuple[float, float]) -> list[float]:
        """Return attack, forward, sideways, turn, run and use for the next tic."""
        if self._tic >= self._form_ends:
            self._form_ends = self._tic + int(self._chance.uniform(15, 45) * _TICS)
            self._gain = self._chance.uniform(0.15, 0.8)
            self._brave = self._chance.random() < 0.6
        self._tic += 1
        if sight.foes:
            return self._fight(max(sight.foes, key=lambda foe: foe[1] * foe[2]))
        return self._explore(sight.depth, place)

    def _fight(self, foe: tuple[float, float, float]) -> list[float]:
        middle, width, height = foe
        off = middle - _WIDTH / 2
        angle = float(np.degrees(np.arctan(off / (_WIDTH / 2))))
        turn = float(np.clip(angle * self._gain + self._chance.normal(0, 0.4), -15, 15))
        step = 12.0 if np.sin(self._tic / 9) > 0 else -12.0
        forward = float(self._brave and height < _HEIGHT / 3)
        return [float(abs(off) < width * 0.6 + 15), forward, step, turn, 1.0, 0.0]

    def _explore(self, depth: NDArray[np.float64], place: tuple[float, float]) -> list[float]:
        left, ahead, right = (float(part.mean()) for part in np.array_split(depth, 3))
        moved = abs(place[0] - self._place[0]) + abs(place[1] - self._place[1])
        self._place, self._stuck = place, self._stuck + 1 if moved < 2 else 0
        if self._stuck > _TICS / 3:
            self._turn, self._stuck = float(self._chance.choice([-9.0, 9.0])), 0
        elif self._turn:
            self._turn = self._turn if self._chance.random() > 0.08 else 0.0
        elif ahead < _NEAR:
            self._turn = -7.0 if left > right else 7.0
        open_way = np.argmax(np.convolve(depth, np.ones(20) / 20, "valid")) - (len(depth) - 20) / 2
        drift = float(np.clip(open_way * 0.05, -4, 4)) + self._chance.normal()
        return [0.0, 1.0, 0.0, self._turn or drift, 1.0, float(self._tic % _TICS == 0)]


class DoomGame(SteppedGame):
    """A game of the engine; a subclass says which level, and what counts."""

    kind = "shooter"
    pictures = "ViZDoom's engine with Freedoom's levels, pictures and sounds; its log is the truth"
    level: ClassVar[str]
    arguments: ClassVar[str]
    map: ClassVar[str] = "map01"

    @abstractmethod
    def begin(self, game: Any) -> None:
        """Prepare a match that has just been started."""

    @abstractmethod
    def is_foe(self, name: str) -> bool: ...

    def missing(self) -> str:
        if not find_spec("vizdoom"):
            return "make .venv/.footage"
        return "" if _can_play_sound() else "apt-get install libopenal1"

    def format(self) -> Format:
        return Format(width=_WIDTH, height=_HEIGHT, fps=_TICS, rate=_RATE, channels=2)

    def play(self, seed: int) -> Iterator[Step]:
        game = self._engine(seed)
        player = Player(np.random.default_rng(seed))
        self.begin(game)
        tic, lying, counts = 0, 0, _counts(game)
        while True:
            if game.is_episode_finished():
                game.new_episode()
                self.begin(game)
                counts, lying = _counts(game), 0
            state = game.get_state()
            picture, sound = state.screen_buffer, state.audio_buffer
            dead = game.is_player_dead()
            lying = lying + 1 if dead else 0
            if lying > _LYING_SECONDS * _TICS:
                game.respawn_player()
                lying = 0
            else:
                action = [0.0] * 6 if dead else player.act(self._sight(state), _place(game))
                game.make_action(action, 1)
            now = _counts(game)
            yield Step(picture, sound, tuple(_happened(counts, now, at=tic / _TICS)))
            tic, counts = tic + 1, now

    def _sight(self, state: Any) -> Sight:
        foes = [
            (label.x + label.width / 2, float(label.width), float(label.height))
            for label in state.labels
            if self.is_foe(label.object_name)
            and label.width * label.height > _SMALLEST
            and label.y < _WEAPON_TOP
        ]
        depth = state.depth_buffer[_HORIZON, ::8].astype(np.float64).mean(axis=0)
        return Sight(foes, depth)

    def _engine(self, seed: int) -> Any:
        """Return the engine, started.

        Raises:
            FootageError: it is not installed.
        """
        try:
            import vizdoom as engine  # noqa: PLC0415 -- only who films needs it
        except ImportError as error:
            raise FootageError(
                "This game needs vizdoom, which is not installed. Run `make .venv/.footage`."
            ) from error
        game, buttons, facts = engine.DoomGame(), engine.Button, engine.GameVariable
        game.set_doom_game_path(str(Path(engine.__file__).with_name("freedoom2.wad")))
        game.set_doom_scenario_path(str(Path(engine.scenarios_path) / self.level))
        game.set_doom_map(self.map)
        game.set_doom_config_path("")
        game.set_screen_resolution(engine.ScreenResolution.RES_1280X720)
        game.set_screen_format(engine.ScreenFormat.RGB24)
        game.set_window_visible(False)
        game.set_render_hud(True)
        game.set_render_messages(True)
        game.set_render_screen_flashes(True)
        game.set_labels_buffer_enabled(True)
        game.set_depth_buffer_enabled(True)
        game.set_sound_enabled(True)
        game.set_audio_buffer_enabled(True)
        game.set_audio_sampling_rate(engine.SamplingRate.SR_44100)
        game.set_audio_buffer_size(1)
        game.set_mode(engine.Mode.PLAYER)
        game.set_seed(seed)
        game.set_available_buttons(
            [
                *(buttons.ATTACK, buttons.MOVE_FORWARD, buttons.MOVE_LEFT_RIGHT_DELTA),
                *(buttons.TURN_LEFT_RIGHT_DELTA, buttons.SPEED, buttons.USE),
            ]
        )
        game.set_available_game_variables(
            [
                *(facts.FRAGCOUNT, facts.KILLCOUNT, facts.DEATHCOUNT, facts.HEALTH),
                *(facts.POSITION_X, facts.POSITION_Y, facts.DEAD),
            ]
        )
        game.set_episode_timeout(0)
        game.add_game_args(f"{_ENGINE} {self.arguments}")
        try:
            game.init()
        except engine.ViZDoomErrorException as error:
            raise FootageError(f"ViZDoom did not start: {error}") from error
        return game


class Arena(DoomGame):
    """A deathmatch with seven bots. The film follows one player.

    Moments: two kills or more, each within six seconds of the last, and a kill at 30 health or
    less. Other kills and the player's deaths are minor events.
    """

    players = "one player scripted by us, of changing skill, against the engine's own bots"
    level = "cig.wad"
    arguments = (
        "-host 1 -deathmatch +timelimit 0 +sv_forcerespawn 0 +sv_respawnprotect 1 "
        "+sv_spawnfarthest 1 +sv_noautoaim 0 +name Ada +colorset 3"
    )
    bots: ClassVar[int] = 7

    def begin(self, game: Any) -> None:
        game.send_game_command("removebots")
        for _ in range(self.bots):
            game.send_game_command("addbot")

    def is_foe(self, name: str) -> bool:
        return name == "DoomPlayer"

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        kills = [event for event in events if event.kind.startswith("frag")]
        runs = bursts(kills, count=2, within=6.0)
        in_runs = {event for run in runs for event in run}
        return [
            *(around(r[-1], "multi-kill", 1.0, before=3, after=2.5, since=r[0].at) for r in runs),
            *(
                around(event, event.kind, 0.7, before=3.5, after=2.5)
                for event in kills
                if event.kind == "frag at low health" and event not in in_runs
            ),
        ]


class Horde(DoomGame):
    """One player against monsters that keep coming.

    Moments: three kills or more, any three within five seconds; a kill at 25 health or less; the
    player's death. Other kills are minor events.
    """

    players = "one player scripted by us, of changing skill, against the engine's own monsters"
    level = "deathmatch.wad"
    arguments = "+sv_noautoaim 0 +skill 3"
    monsters: ClassVar = frozenset(
        {"Zombieman", "ShotgunGuy", "ChaingunGuy", "Demon", "HellKnight", "MarineChainsawVzd"}
    )

    def begin(self, game: Any) -> None:
        """There is nothing to prepare: the level brings its monsters."""

    def is_foe(self, name: str) -> bool:
        return name in self.monsters

    def judge(self, events: Sequence[Event]) -> list[Moment]:
        kills = [event for event in events if event.kind.startswith("kill")]
        deaths = [event for event in events if event.kind == "death"]
        narrow = [event for event in kills if event.kind == "kill at low health"]
        runs = bursts(kills, count=3, within=5.0)
        return [
            *(around(r[-1], "multi-kill", 1.0, before=2.5, after=2, since=r[0].at) for r in runs),
            *(around(event, event.kind, 0.7, before=3, after=2) for event in narrow),
            *(around(event, "death", 0.8, before=4, after=1.5) for event in deaths),
        ]


class _Counts(NamedTuple):
    frags: int
    kills: int
    deaths: int
    health: int


def _can_play_sound() -> bool:
    """Return True if the engine will find its sound library; without it, films are silent."""
    try:
        ctypes.CDLL("libopenal.so.1")
    except OSError:
        return False
    return True


def _counts(game: Any) -> _Counts:
    import vizdoom as engine  # noqa: PLC0415 -- only who films needs it

    facts = engine.GameVariable
    names = (facts.FRAGCOUNT, facts.KILLCOUNT, facts.DEATHCOUNT, facts.HEALTH)
    frags, kills, deaths, health = (int(game.get_game_variable(name)) for name in names)
    dead = game.is_player_dead()
    return _Counts(frags, kills, max(deaths, int(dead)), health)


def _place(game: Any) -> tuple[float, float]:
    import vizdoom as engine  # noqa: PLC0415 -- only who films needs it

    facts = engine.GameVariable
    return (
        float(game.get_game_variable(facts.POSITION_X)),
        float(game.get_game_variable(facts.POSITION_Y)),
    )


def _happened(before: _Counts, after: _Counts, *, at: float) -> Iterator[Event]:
    """Yield what the counters say happened between two tics."""
    low_frag, low_kill = 30, 25
    low = " at low health"
    if after.frags > before.frags:
        yield Event(at=at, kind="frag" + low * (0 < after.health <= low_frag), points=1)
    if after.kills > before.kills:
        for _ in range(after.kills - before.kills):
            yield Event(at=at, kind="kill" + low * (0 < after.health <= low_kill))
    if after.deaths > before.deaths:
        yield Event(at=at, kind="death", side=1)
