"""What a recipe is: it films a game, and says which of its events are moments."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from tools.footage.recorder import Format, Picture, Recorder, Sound
from tools.footage.truth import Event, Film, Moment, Truth, settle


class Step(NamedTuple):
    """One frame of a game, with its sound and what happened during it."""

    picture: Picture
    sound: Sound
    events: tuple[Event, ...] = ()


class FootageError(Exception):
    """A film cannot be made; the text says why and what to do."""


class Game(ABC):
    """A recipe. A new one is a subclass, and an entry in `recipes.RECIPES` and `footage.toml`."""

    kind: ClassVar[str]
    pictures: ClassVar[str]
    players: ClassVar[str]
    clock: str = Film.model_fields["clock"].default

    @abstractmethod
    def film(self, video: Path, *, seed: int, seconds: float) -> list[Event]:
        """Film the game into a file and return what happened, in order.

        Raises:
            FootageError: the game is not installed, or did not run.
        """

    @abstractmethod
    def missing(self) -> str:
        """Return the command that installs what the game needs, or nothing."""

    @abstractmethod
    def judge(self, events: Sequence[Event]) -> list[Moment]:
        """Return the moments among the events; they may overlap."""

    def truth(self, game: str, events: Sequence[Event], *, seed: int, seconds: float) -> Truth:
        """Return the truth file of a film of `seconds`."""
        return Truth(
            film=Film(
                game=game,
                kind=self.kind,
                seed=seed,
                duration=seconds,
                pictures=self.pictures,
                players=self.players,
                clock=self.clock,
            ),
            moments=settle(self.judge(events), seconds),
            events=tuple(events),
        )


def say_progress(done: int, frames: int, fps: int) -> None:
    """Write a line to stderr when a tenth of the frames has just been filmed."""
    if done * 10 // frames > (done - 1) * 10 // frames:
        sys.stderr.write(f"  … {done / fps:.0f} of {frames / fps:.0f} s filmed\n")


class SteppedGame(Game):
    """A game that computes one frame when it is asked to: its film needs no real time."""

    @abstractmethod
    def format(self) -> Format: ...

    @abstractmethod
    def play(self, seed: int) -> Iterator[Step]:
        """Play without end, one step after the other."""

    def film(self, video: Path, *, seed: int, seconds: float) -> list[Event]:
        shape, events = self.format(), list[Event]()
        frames = round(seconds * shape.fps)
        with Recorder(video, shape) as recorder:
            for number, step in zip(range(frames), self.play(seed), strict=False):
                recorder.write(step.picture, step.sound)
                events += step.events
                say_progress(number + 1, frames, shape.fps)
        return events
