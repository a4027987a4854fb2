"""Spans of a video, their overlap, and the assignment of found to true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict


class Interval(BaseModel):
    """A span of the video in seconds, with the score that ranks it."""

    model_config = ConfigDict(frozen=True)

    start: float
    end: float
    score: float = 0.0


_Found = TypeVar("_Found", bound=Interval)
_True = TypeVar("_True", bound=Interval)


def temporal_iou(one: Interval, other: Interval) -> float:
    """Return `|A and B| / |A or B|`, lengths in seconds, in [0, 1] (Jaccard 1912, over time)."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = (one.end - one.start) + (other.end - other.start) - shared
    return max(0.0, shared) / union if union > 0 else 0.0


def pairs(
    found: Sequence[_Found], true: Sequence[_True], threshold: float
) -> list[tuple[_Found, _True | None]]:
    """Pair each found interval, best score first, with the true one that it hits, or with None.

    It hits the one with the greatest IoU that no better-ranked one has taken, if that IoU is at
    least `threshold`; so a true interval is hit once, and a second clip of it is a false one. This
    is the assignment of the ActivityNet evaluation (Caba Heilbron et al., CVPR 2015).
    """
    left = list(true)
    told: list[tuple[_Found, _True | None]] = []
    for interval in ranked(found):
        best = max(left, key=lambda moment: temporal_iou(interval, moment), default=None)
        if best is not None and temporal_iou(interval, best) >= threshold:
            left.remove(best)
            told.append((interval, best))
        else:
            told.append((interval, None))
    return told


def hits(found: Sequence[Interval], true: Sequence[Interval], threshold: float) -> list[bool]:
    """Return for each found interval, best score first, whether it hits a true one (`pairs`)."""
    return [moment is not None for _, moment in pairs(found, true, threshold)]


def ranked(found: Sequence[_Found]) -> list[_Found]:
    """Return the intervals by falling score; of equal ones the earlier first."""
    return sorted(found, key=lambda interval: (-interval.score, interval.start))
