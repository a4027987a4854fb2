"""The script of a match, as data: what will be seen and heard, and its ground truth."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat

from demo.model import Model

Color = tuple[int, int, int]


ShotView = Literal["wide", "tight", "close", "crowd", "replay", "advert", "panel", "wipe"]


Sound = Literal[
    "advert", "bounce", "buzzer", "drums", "kick", "music", "pa", "shot", "sting", "swoosh",
    "whistle",
]  # fmt: skip


class Envelope(Model):
    """A curve through (seconds, value) points, straight between them and 0 outside."""

    points: tuple[tuple[float, float], ...]

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the curve's values at `times` (seconds)."""
        when, value = zip(*self.points, strict=True)
        return np.asarray(np.interp(times, when, value, left=0.0, right=0.0))


class Shot(Model):
    """What one camera shows from `start` to the next shot, seconds.

    `source` is the time of the play being shown where it is not the present (a replay), which
    then runs at `speed`; `variant` chooses the player, the card or the camera position.
    """

    start: float
    view: ShotView
    variant: int = 0
    source: float | None = None
    speed: float = 1.0


class Cue(Model):
    """One sound at a level in dBFS (RMS), from `start` to `end`, seconds."""

    sound: Sound
    start: float
    end: float
    level: float
    variant: int = 0


class Banner(Model):
    """A caption over the picture, blinking where `flash` is set."""

    start: float
    end: float
    words: str
    flash: bool = False


class Score(Model):
    """The score shown from `at` seconds on."""

    at: float
    home: int
    away: int


class Look(Model):
    """Names and colours."""

    home_name: str
    away_name: str
    home_color: Color
    away_color: Color
    field_color: Color
    accent_color: Color
    clock_start: int


class Mix(Model):
    """Levels in dBFS (RMS) and the commentator's voice (pitch in Hz, syllables per second)."""

    crowd: float
    voice: float
    voice_pitch: float
    voice_rate: float
    voice_tract: float
    crowd_color: float


class Script(Model):
    """The whole match.

    `crowd` holds rises over the bed in dB, `voice` the commentator's excitement in [0, 1],
    `talk` how much of the time he speaks, `activity` the pace of the players (1 is a jog),
    `match_level` and `gain` the level in dB of the stadium's sound and of everything.
    """

    truth: Truth
    look: Look
    mix: Mix
    shots: tuple[Shot, ...]
    cues: tuple[Cue, ...]
    banners: tuple[Banner, ...]
    scores: tuple[Score, ...]
    crowd: tuple[Envelope, ...]
    voice: tuple[Envelope, ...]
    talk: Envelope
    activity: tuple[Envelope, ...]
    match_level: tuple[Envelope, ...]
    gain: Envelope
    ball: tuple[tuple[float, float, float], ...]


def strongest(envelopes: tuple[Envelope, ...], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the highest of the curves at each time, and 0 where there is none."""
    values = np.zeros_like(times)
    for envelope in envelopes:
        np.maximum(values, envelope.at(times), out=values)
    return values


def weakest(envelopes: tuple[Envelope, ...], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lowest of the curves at each time, and 0 where there is none."""
    values = np.zeros_like(times)
    for envelope in envelopes:
        np.minimum(values, envelope.at(times), out=values)
    return values


class Moment(Model):
    """A moment that a viewer would want as a clip: `start` <= `peak` <= `end`, seconds."""

    start: NonNegativeFloat
    end: NonNegativeFloat
    peak: NonNegativeFloat
    kind: str


class Distractor(Model):
    """A passage that draws attention to itself and is no highlight: seconds."""

    start: NonNegativeFloat
    end: NonNegativeFloat
    kind: str


class Truth(Model):
    """The ground truth of one video; all times in seconds from its first frame."""

    duration: PositiveFloat
    seed: int
    kind: str
    moments: tuple[Moment, ...]
    distractors: tuple[Distractor, ...] = ()
