"""The fitted fusion: how much the seconds around a point look like a moment of this stream.

Each channel is compared with its own last minutes (`Baseline`), bounded, and averaged over a few
stretches before and after the point: the build-up, the event and the pay-off. The logit is the sum
of one weight per channel and stretch, so each decision is explained by its parts. The weights are
in `fusion.json`, which `tools/fit` writes; docs/quality.md says on what they were fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final, Self

from pydantic import model_validator

from domain.analysis.baseline import Baselines, NormalizedFrame, SpreadBounds
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

LAGS: Final = ((-8, -5), (-4, -3), (-2, -1), (0, 0), (1, 2), (3, 5))
"""Stretches around a point over which a channel is averaged, in seconds, both ends included."""

SEEN_BEFORE: Final = -LAGS[0][0]
"""Seconds before a point that the fusion looks at."""

SEEN_AFTER: Final = LAGS[-1][1]
"""Seconds after a point that the fusion looks at."""

APART: Final = 6
"""Seconds to either side within which a peak of the fusion has no better one."""

PEAK_KNOWN_AFTER: Final = SEEN_AFTER + APART + 1
"""Seconds after which it is known whether a second is a peak (one is for the smoothing)."""

SECONDS_KEPT: Final = SEEN_BEFORE + 2 * (APART + 1) + SEEN_AFTER + 1
"""Seconds needed to decide whether one of them is a peak."""

_FEWEST_SAMPLES: Final = 15
_SCALE: Final = 2.0
_LEADING: Final = 3


class SecondRises(Model):
    """How far each channel lay above its baseline in one second, -1 to 1; 0 if not known.

    Attributes:
        at: the second of media time, a whole number.
        rises: in the order of `CHANNELS`.
    """

    at: int
    rises: tuple[float, ...]


class FusedEvidence(Model):
    """The fusion's verdict on one point.

    Attributes:
        logit: logit of the probability that a clip around the point shows a moment.
        parts: the channels that spoke for it most, with their parts of the logit, largest first.
    """

    logit: float
    parts: dict[str, float]


class Fusion(Model):
    """Fitted weights.

    Attributes:
        version: changes with the weights.
        bias: logit of a second in which all channels are as usual.
        floor: logit below which a peak is not proposed: the median of the peaks it was fitted on.
        weights: for each channel, one weight per stretch of `LAGS`.
    """

    version: str
    bias: float
    floor: float
    weights: dict[str, tuple[float, ...]]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if tuple(self.weights) != tuple(CHANNELS):
            raise ValueError(f"weights are for {', '.join(self.weights)}, not {[*CHANNELS]}")
        if any(len(each) != len(LAGS) for each in self.weights.values()):
            raise ValueError(f"each channel needs {len(LAGS)} weights, one per stretch")
        return self

    def at(self, second: int, seconds: Mapping[int, SecondRises]) -> FusedEvidence:
        """Return the evidence for a second; seconds that are missing count as usual ones."""
        parts = {
            name: sum(
                weight * value
                for weight, value in zip(
                    self.weights[name], lagged(seconds, index, second), strict=True
                )
            )
            for index, name in enumerate(CHANNELS)
        }
        leading = sorted(parts, key=lambda name: -parts[name])[:_LEADING]
        return FusedEvidence(
            logit=round(self.bias + sum(parts.values()), 4),
            parts={name: round(parts[name], 3) for name in leading if parts[name] > 0},
        )


def lagged(seconds: Mapping[int, SecondRises], channel: int, second: int) -> list[float]:
    """Return the means of a channel over the stretches of `LAGS` around a second."""
    return [
        sum(
            seconds[at].rises[channel]
            for at in range(second + first, second + last + 1)
            if at in seconds
        )
        / (last - first + 1)
        for first, last in LAGS
    ]


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
    return SecondRises(at=int(second[0].at), rises=tuple(rises))


@lru_cache(maxsize=1)
def load_fusion() -> Fusion:
    """Return the fitted weights that belong to this version of the analyzer."""
    return Fusion.model_validate_json((files(__package__) / "fusion.json").read_bytes())


def peak_among(fusion: Fusion, seconds: Sequence[SecondRises]) -> tuple[int, FusedEvidence] | None:
    """Return the second that has just become known as a peak, with its evidence, if it is one.

    That is the second `PEAK_KNOWN_AFTER` before the last one. Its smoothed logit is the highest
    within `APART` seconds.
    """
    if not seconds:
        return None
    at = seconds[-1].at - PEAK_KNOWN_AFTER
    if at - APART - 1 < seconds[0].at:
        return None
    by_second = {each.at: each for each in seconds}
    logits = [fusion.at(at + step, by_second).logit for step in range(-APART - 1, APART + 2)]
    smooth = [sum(logits[index - 1 : index + 2]) for index in range(1, len(logits) - 1)]
    if smooth[APART] <= max(smooth[:APART]) or smooth[APART] < max(smooth[APART + 1 :]):
        return None
    return at, fusion.at(at, by_second)
