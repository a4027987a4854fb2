"""Scores as analyzers give them, and as older versions of the product gave them, read and written.

A scale is never guessed: 0.9 could be nine tenths or just under one per cent, so the analyzer
says which it means, and everything else is refused with the value and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from domain.model import Model
from domain.score import DIMENSIONS, HighlightScore


class Scale(StrEnum):
    """What the best possible value is called."""

    UNIT = "unit"  # 0 to 1
    STARS = "stars"  # 0 to 5
    TEN = "ten"  # 0 to 10
    PERCENT = "percent"  # 0 to 100


_FULL: Final = {Scale.UNIT: 1.0, Scale.STARS: 5.0, Scale.TEN: 10.0, Scale.PERCENT: 100.0}

OLDER_NAMES: Final[dict[str, str]] = {
    "skill": "skill_execution",
    "impact": "game_impact",
    "uniqueness": "rarity",
    "spectacle": "visual_spectacle",
    "emotion": "emotional_intensity",
    "narrative": "narrative_value",
    "timing": "timing_importance",
    "momentum": "momentum_shift",
}
"""Names of dimensions in earlier versions, and what each is called now."""

_CONFIDENCE: Final = "confidence"


class ScoreError(ValueError):
    """A score that cannot be read; the message names the value, what is wrong, and the remedy."""


class LegacyForm(StrEnum):
    """How a score is written down."""

    SINGLE = "single"  # one number for everything
    DIMENSIONS = "dimensions"  # eight numbers by their present names
    OLDER_DIMENSIONS = "older_dimensions"  # eight numbers by the names of earlier versions


class LegacyScore(Model):
    """A score read from elsewhere, with the form in which to write it back.

    Names may be mixed, older and present; such a score is written back by the present ones.
    """

    score: HighlightScore
    form: LegacyForm
    scale: Scale = Scale.UNIT
    has_confidence: bool = False

    def write(self) -> float | dict[str, float]:
        """Return the score in the form and scale in which it was read.

        Equal to what was read, up to the rounding of one division and one multiplication.
        """
        full = _FULL[self.scale]
        values = self.score.dimensions()
        if self.form is LegacyForm.SINGLE:
            return values[DIMENSIONS[0]] * full
        written = {name: value * full for name, value in values.items()}
        if self.form is LegacyForm.OLDER_DIMENSIONS:
            written = {old: written[name] for old, name in OLDER_NAMES.items()}
        if self.has_confidence:
            written[_CONFIDENCE] = self.score.confidence
        return written


def normalise(value: object, *, name: str = "score", scale: Scale = Scale.UNIT) -> float:
    """Return `value` of the declared `scale` as a number in [0, 1].

    Raises:
        ScoreError: it is no number, not finite, or outside the scale.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScoreError(f"{name} is {value!r}, not a number")
    if math.isnan(value):
        raise ScoreError(f"{name} is NaN; leave a dimension out rather than send no number")
    if math.isinf(value):
        raise ScoreError(f"{name} is infinite; the largest value of this scale is {_FULL[scale]:g}")
    full = _FULL[scale]
    if not 0.0 <= value <= full:
        raise ScoreError(f"{name} is {value:g}, outside [0, {full:g}]{_advice(value, scale)}")
    return value / full


def read_score(raw: float | Mapping[str, object], *, scale: Scale = Scale.UNIT) -> LegacyScore:
    """Read a score in any form: one number, or eight by their present or their older names.

    One number stands for all eight dimensions, so that it is also the combined score under any
    weights. Confidence, where given, is always in [0, 1].

    Raises:
        ScoreError: a value is wrong, a dimension is missing, named twice or unknown.
    """
    if not isinstance(raw, Mapping):
        value = normalise(raw, scale=scale)
        return LegacyScore(
            score=HighlightScore(**dict.fromkeys(DIMENSIONS, value)),
            form=LegacyForm.SINGLE,
            scale=scale,
        )
    values: dict[str, float] = {}
    for given, number in raw.items():
        if given == _CONFIDENCE:
            continue
        name = OLDER_NAMES.get(given, given)
        if name not in DIMENSIONS:
            raise ScoreError(f"{given!r} is not a dimension; they are {', '.join(DIMENSIONS)}")
        if name in values:
            raise ScoreError(f"{name} is given twice, once by an older name: keep one of them")
        values[name] = normalise(number, name=given, scale=scale)
    missing = [name for name in DIMENSIONS if name not in values]
    if missing:
        raise ScoreError(f"the score lacks {', '.join(missing)}; all eight dimensions are needed")
    older = not any(name in DIMENSIONS for name in raw)
    return LegacyScore(
        score=HighlightScore(
            **values, confidence=normalise(raw.get(_CONFIDENCE, 1.0), name=_CONFIDENCE)
        ),
        form=LegacyForm.OLDER_DIMENSIONS if older else LegacyForm.DIMENSIONS,
        scale=scale,
        has_confidence=_CONFIDENCE in raw,
    )


def _advice(value: float, scale: Scale) -> str:
    wider = [
        other for other in Scale if 0.0 <= value <= _FULL[other] and _FULL[other] > _FULL[scale]
    ]
    if not wider:
        return ""
    return f"; if the analyzer scores on another scale, declare it: {' or '.join(wider)}"
