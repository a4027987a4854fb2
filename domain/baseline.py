"""What is usual in a stream: a robust level and spread over its trailing few minutes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from domain.model import Model

SAMPLES: Final = 180
"""How many samples, one a second, a baseline remembers: three minutes."""

_TRUSTED: Final = 30
_MAD_TO_SIGMA: Final = 1.4826


class Baseline(Model):
    """The recent samples of one signal, one a second."""

    samples: tuple[float, ...] = ()

    def add(self, sample: float) -> Baseline:
        """Return the baseline with one more second in it."""
        return Baseline(samples=(*self.samples, round(sample, 2))[-SAMPLES:])

    def usual(self, spread: Spread) -> Usual | None:
        """Return the level and the spread that are usual, None before there is a sample.

        The spread is the median absolute deviation, times 1.4826 so that it estimates the
        standard deviation of a normal signal (Rousseeuw and Croux, JASA 88, 1993); both it and
        the median stay put when up to half of the samples are moments, adverts or a new level.
        """
        return _usual(self.samples, spread) if self.samples else None


class Spread(Model):
    """What may be believed of a signal's spread, in the signal's own unit.

    It is never taken to be less than `least`, lest a constant signal make noise news, nor more
    than `most`, lest adverts and silences make every moment look usual. `prior` is believed
    before anything is known, and fades out over the first half minute.
    """

    least: float
    most: float
    prior: float


class Usual(Model):
    """A usual level and spread, in the signal's own unit."""

    level: float
    spread: float

    def sigmas(self, value: float) -> float:
        """Return how many spreads `value` lies above the level."""
        return (value - self.level) / self.spread


@lru_cache(maxsize=64)  # asked four times a second, new once a second
def _usual(samples: tuple[float, ...], spread: Spread) -> Usual:
    level = quantile(samples, 0.5)
    seen = _MAD_TO_SIGMA * quantile([abs(each - level) for each in samples], 0.5)
    doubt = max(0.0, 1.0 - len(samples) / _TRUSTED)
    believed = seen * (1.0 - doubt) + spread.prior * doubt
    return Usual(level=level, spread=min(spread.most, max(spread.least, believed)))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank, lower)."""
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))]
