"""Whether scores can be read as probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

BINS: Final = 10
"""Bins of equal width; Guo et al. use 15 for thousands of predictions, we have dozens."""


class Bin(BaseModel):
    """The predictions of one bin: their number, their mean, and how many were right."""

    model_config = ConfigDict(frozen=True)

    count: int
    said: float
    right: float


class Calibration(BaseModel):
    """The expected calibration error in [0, 1], 0 being best, and the bins that hold anything."""

    model_config = ConfigDict(frozen=True)

    ece: float
    count: int
    bins: tuple[Bin, ...]


def calibration(said: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Return how far predictions in [0, 1] are from the share of them that came true.

    `ECE = Σ_b n_b/N · |right_b - said_b|` over bins of equal width, where `right_b` is the share of
    true ones and `said_b` the mean prediction in bin b: Naeini, Cooper and Hauskrecht, AAAI 2015;
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Raises:
        ValueError: a prediction lies outside [0, 1], or the two differ in length.
    """
    filled: dict[int, list[tuple[float, bool]]] = {}
    for value, hit in zip(said, right, strict=True):
        if not 0 <= value <= 1:
            raise ValueError(f"a probability lies between 0 and 1, not at {value}")
        filled.setdefault(min(int(value * BINS), BINS - 1), []).append((value, hit))
    bins = tuple(
        Bin(
            count=len(told),
            said=sum(value for value, _ in told) / len(told),
            right=sum(hit for _, hit in told) / len(told),
        )
        for _, told in sorted(filled.items())
    )
    total = sum(each.count for each in bins)
    error = sum(each.count * abs(each.right - each.said) for each in bins)
    return Calibration(ece=error / total if total else 0.0, count=total, bins=bins)
