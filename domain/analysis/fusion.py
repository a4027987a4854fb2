"""The fitted fusion: how much the seconds around a point look like a moment of this stream.

Each channel is compared with its own last minutes (`Baseline`) and bounded. Then what it was at a
point is compared with what it is after it: at a moment of a game the sound peaks and play stops, so
both turn. The logit is the sum of one weight per channel and of the hand-set excitement, so that
each decision is explained by its parts. A stream without sound has weights for what is left. The
weights are in `fusion.json`, which `tools/fit` writes; docs/quality.md says on what they were
fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple, Self

from pydantic import model_validator

from domain.analysis.baseline import Baselines, NormalizedFrame, SpreadBounds
from domain.analysis.signals import SILENCE
from domain.model import Model

CHANNELS: Final[Mapping[str, SpreadBounds]] = {
    "loudness": SpreadBounds(least=1.5, most=6.0, prior=3.0),
    "crowd_level": SpreadBounds(least=1.5, most=6.0, prior=3.0),
    "voice_level": SpreadBounds(least=2.5, most=6.0, prior=4.0),
    "onset": SpreadBounds(least=0.5, most=3.0, prior=1.0),
    "tonality": SpreadBounds(least=0.05, most=0.3, prior=0.1),
    "motion": SpreadBounds(least=0.3, most=1.0, prior=0.8),
    "jolt": SpreadBounds(least=0.1, most=1.0, prior=0.3),
    "cut": SpreadBounds(least=0.25, most=0.5, prior=0.25),
}
"""The channels, fields of `NormalizedFrame`, with the bounds of their spread in their unit."""


class Turn(NamedTuple):
    """How a channel turns at a moment: what it was shortly before, less what it is after.

    Attributes:
        before: stretch around a point, in seconds, both ends included.
        after: the same, later.
        highest: True if the highest second of `before` counts, False for the mean.
    """

    before: tuple[int, int]
    after: tuple[int, int]
    highest: bool

    def of(self, values: Mapping[int, float], second: int) -> float:
        """Return the turn of a channel at a second; seconds that are missing count as 0."""
        first, last = self.before
        before = [values.get(at, 0.0) for at in range(second + first, second + last + 1)]
        first, last = self.after
        after = [values.get(at, 0.0) for at in range(second + first, second + last + 1)]
        level = max(before) if self.highest else sum(before) / len(before)
        return level - sum(after) / len(after)


SOUND_TURN: Final = Turn(before=(-1, 0), after=(1, 3), highest=True)
"""Of sound: a game is loud at a moment, and pauses after it."""

PICTURE_TURN: Final = Turn(before=(-2, -1), after=(0, 2), highest=False)
"""Of motion: play stops at a moment."""

TURNS: Final[Mapping[str, Turn]] = {
    name: PICTURE_TURN if name in {"motion", "jolt", "cut"} else SOUND_TURN for name in CHANNELS
}
"""The turn of each channel."""

EXCITEMENT: Final = "excitement"
"""Name of the evidence by the hand-set weights, which is added to that of the channels."""

FULL_EXCITEMENT: Final = 6.0
"""Excitement (spreads) from which more does not count."""

SEEN_BEFORE: Final = 2
"""Seconds before a point that the fusion looks at."""

SEEN_AFTER: Final = 3
"""Seconds after a point that the fusion looks at."""

APART: Final = 6
"""Seconds to either side within which a peak of the fusion has no better one."""

PEAK_KNOWN_AFTER: Final = SEEN_AFTER + APART
"""Seconds after which it is known whether a second is a peak."""

SECONDS_KEPT: Final = SEEN_BEFORE + 2 * APART + SEEN_AFTER + 1
"""Seconds needed to decide whether one of them is a peak."""

_FEWEST_SAMPLES: Final = 15
_SCALE: Final = 2.0
_LEADING: Final = 3


class SecondRises(Model):
    """How far each channel lay above its baseline in one second, -1 to 1; 0 if not known.

    Attributes:
        at: the second of media time, a whole number.
        rises: in the order of `CHANNELS`.
        excitement: the highest by the hand-set weights, in spreads.
        heard: True if the stream had sound in the last minutes.
    """

    at: int
    rises: tuple[float, ...]
    excitement: float = 0.0
    heard: bool = True


class FusedEvidence(Model):
    """The fusion's verdict on one point.

    Attributes:
        logit: logit of the probability that a clip around the point shows a moment.
        parts: the channels that spoke for it most, with their parts of the logit, largest first.
    """

    logit: float
    parts: dict[str, float]


class FusionWeights(Model):
    """Fitted weights for streams of one kind.

    Attributes:
        bias: logit of a second in which all channels are as usual.
        floor: logit below which a peak is not proposed: the lower quartile of the peaks that it was
            fitted on.
        excitement: weight of the excitement by the hand-set weights.
        weights: of the turn of each channel; negative where a channel rises at a moment.
    """

    bias: float
    floor: float
    excitement: float
    weights: dict[str, float]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if tuple(self.weights) != tuple(CHANNELS):
            raise ValueError(f"weights are for {', '.join(self.weights)}, not {[*CHANNELS]}")
        return self

    def at(self, second: int, seconds: Mapping[int, SecondRises]) -> FusedEvidence:
        """Return the evidence for a second; seconds that are missing count as usual ones."""
        excitement = seconds[second].excitement if second in seconds else 0.0
        parts = {EXCITEMENT: self.excitement * bounded_excitement(excitement)}
        for index, name in enumerate(CHANNELS):
            values = {at: each.rises[index] for at, each in seconds.items()}
            parts[name] = self.weights[name] * TURNS[name].of(values, second)
        leading = sorted(parts, key=lambda name: -parts[name])[:_LEADING]
        return FusedEvidence(
            logit=round(self.bias + sum(parts.values()), 4),
            parts={name: round(parts[name], 3) for name in leading if parts[name] > 0},
        )


class Fusion(Model):
    """All fitted weights.

    Attributes:
        version: changes with the weights.
        heard: of a stream with sound.
        unheard: of a stream without sound.
    """

    version: str
    heard: FusionWeights
    unheard: FusionWeights


def bounded_excitement(value: float) -> float:
    """Return excitement (spreads) as the fusion sees it, 0 to 1."""
    return min(1.0, max(0.0, value / FULL_EXCITEMENT))


def rises_of(second: Sequence[NormalizedFrame], baselines: Baselines) -> SecondRises:
    """Return how far the channels lay above the baselines in a second's frames."""
    rises = []
    for name, spread in CHANNELS.items():
        values = [float(v) for each in second if (v := getattr(each, name)) is not None]
        baseline = baselines.of(name)
        typical = baseline.typical(spread)
        known = typical is not None and len(baseline.samples) >= _FEWEST_SAMPLES and values
        rises.append(
            round(math.tanh(typical.sigmas(sum(values) / len(values)) / _SCALE), 3)
            if known and typical is not None
            else 0.0
        )
    return SecondRises(
        at=int(second[0].at),
        rises=tuple(rises),
        excitement=max(each.level for each in second),
        heard=max(baselines.loudness.samples, default=SILENCE) > SILENCE,
    )


@lru_cache(maxsize=1)
def load_fusion() -> Fusion:
    """Return the fitted weights that belong to this version of the analyzer."""
    return Fusion.model_validate_json((files(__package__) / "fusion.json").read_bytes())


def peak_among(
    weights: FusionWeights, seconds: Sequence[SecondRises]
) -> tuple[int, FusedEvidence] | None:
    """Return the second that has just become known as a peak, with its evidence, if it is one.

    That is the second `PEAK_KNOWN_AFTER` before the last one. Its logit is the highest within
    `APART` seconds.
    """
    if not seconds:
        return None
    at = seconds[-1].at - PEAK_KNOWN_AFTER
    if at - APART < seconds[0].at:
        return None
    by_second = {each.at: each for each in seconds}
    logits = [weights.at(at + step, by_second).logit for step in range(-APART, APART + 1)]
    if logits[APART] <= max(logits[:APART]) or logits[APART] < max(logits[APART + 1 :]):
        return None
    return at, weights.at(at, by_second)
