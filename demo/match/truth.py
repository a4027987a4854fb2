"""What really happens in a scripted match: the moments to be found, and what must not be."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat

from demo.model import Model


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
