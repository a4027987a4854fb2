"""Highlight scores on eight dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Annotated, Final

from pydantic import Field

from domain.model import Model

DIMENSIONS: Final = (
    "skill_execution",
    "game_impact",
    "rarity",
    "visual_spectacle",
    "emotional_intensity",
    "narrative_value",
    "timing_importance",
    "momentum_shift",
)

_in_order: Callable[[Mapping[str, float]], tuple[float, ...]] = itemgetter(*DIMENSIONS)

_SURE: Final = 1e-4

Unit = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


def log_odds(value: float) -> float:
    """Return the log odds of a probability in nats; 0 and 1 are clamped first."""
    within = min(1.0 - _SURE, max(_SURE, value))
    return math.log(within / (1.0 - within))


def shift_odds(value: float, nats: float) -> float:
    """Return a probability moved by `nats` (log odds); 0 and 1 are clamped first."""
    if nats == 0.0:
        return value
    return round(1.0 / (1.0 + math.exp(-(log_odds(value) + nats))), 4)


class HighlightScore(Model):
    """Score on each dimension, in [0, 1], and the analyzer's confidence in it."""

    skill_execution: Unit
    game_impact: Unit
    rarity: Unit
    visual_spectacle: Unit
    emotional_intensity: Unit
    narrative_value: Unit
    timing_importance: Unit
    momentum_shift: Unit
    confidence: Unit = 1.0

    def dimensions(self) -> dict[str, float]:
        """Return the eight dimensions by name, in their canonical order."""
        return {name: getattr(self, name) for name in DIMENSIONS}

    def with_narrative_value(self, value: float) -> HighlightScore:
        """Return a copy with another `narrative_value`, from 0 to 1."""
        return HighlightScore(
            skill_execution=self.skill_execution,
            game_impact=self.game_impact,
            rarity=self.rarity,
            visual_spectacle=self.visual_spectacle,
            emotional_intensity=self.emotional_intensity,
            narrative_value=value,
            timing_importance=self.timing_importance,
            momentum_shift=self.momentum_shift,
            confidence=self.confidence,
        )

    def calculate_combined_score(self, weights: Mapping[str, float]) -> float:
        """Return the weighted mean in [0, 1]; `weights` name all dimensions and sum to 1.

        Rounded to nine digits, so that eight times 0.95 reaches a threshold of 0.95.
        """
        return combination(weights)(self)


def combination(weights: Mapping[str, float]) -> Callable[[HighlightScore], float]:
    """Return `calculate_combined_score` for fixed `weights`, optimized for many scores.

    Raises:
        KeyError: a dimension has no weight.
    """
    w0, w1, w2, w3, w4, w5, w6, w7 = _in_order(weights)

    def combined(score: HighlightScore) -> float:
        a, b, c, d, e, f, g, h = _in_order(score.__dict__)
        # Written out: a stream may bring a hundred thousand, and this is half the time of a sum.
        total = a * w0 + b * w1 + c * w2 + d * w3 + e * w4 + f * w5 + g * w6 + h * w7
        return min(1.0, round(total, 9))

    return combined
