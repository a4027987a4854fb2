"""How far a mean over few videos can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from benchmarks.quality.metrics.bounds import nearest_rank

_DRAWS: Final = 2000
_SEED: Final = 1


def bootstrap_interval(values: Sequence[float], share: float = 0.95) -> tuple[float, float]:
    """Return the bounds in which the mean of `values` lies with probability `share`.

    The percentile bootstrap: the mean of as many values drawn with replacement, 2,000 times; its
    `(1 ± share) / 2` quantiles. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
    Drawn from a fixed seed. With a handful of videos it is too narrow rather than too wide.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("the mean of no values is undefined")
    random = Random(_SEED)
    means = [sum(random.choices(values, k=len(values))) / len(values) for _ in range(_DRAWS)]
    return nearest_rank(means, (1 - share) / 2), nearest_rank(means, (1 + share) / 2)
