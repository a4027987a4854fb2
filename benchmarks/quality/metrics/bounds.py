"""How far a clip's bounds are from its moment's, and how late it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from benchmarks.quality.metrics.detection import LOOSE
from benchmarks.quality.metrics.overlap import Interval, pairs

P90: Final = 0.9


class BoundaryErrors(BaseModel):
    """Distances in seconds over `count` clips that hit a moment; None where there is no such clip.

    Attributes:
        start_median: of `|clip.start - moment.start|`.
        start_p90: 90th percentile of the same.
        end_median: of `|clip.end - moment.end|`.
        end_p90: 90th percentile of the same.
    """

    model_config = ConfigDict(frozen=True)

    count: int
    start_median: float | None = None
    start_p90: float | None = None
    end_median: float | None = None
    end_p90: float | None = None


def boundary_errors(
    videos: Sequence[tuple[Sequence[Interval], Sequence[Interval]]],
) -> BoundaryErrors:
    """Return the errors of all clips that hit a moment (IoU >= 0.3), of all videos together.

    Args:
        videos: what was found and what is true, for each.
    """
    told = [
        (abs(clip.start - moment.start), abs(clip.end - moment.end))
        for found, true in videos
        for clip, moment in pairs(found, true, LOOSE)
        if moment is not None
    ]
    if not told:
        return BoundaryErrors(count=0)
    starts, ends = zip(*told, strict=True)
    return BoundaryErrors(
        count=len(told),
        start_median=nearest_rank(starts, 0.5),
        start_p90=nearest_rank(starts, P90),
        end_median=nearest_rank(ends, 0.5),
        end_p90=nearest_rank(ends, P90),
    )


def nearest_rank(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed.

    The nearest-rank percentile, the `⌈share · n⌉`-th smallest, which is always a measured value.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a percentile of no values is undefined")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
