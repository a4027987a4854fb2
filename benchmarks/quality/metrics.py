"""How well found intervals agree with true ones."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Interval(BaseModel):
    """A stretch of the video in seconds, with the rank-giving score of whoever found it."""

    model_config = ConfigDict(frozen=True)

    start: float
    end: float
    score: float = 0.0


class Quality(BaseModel):
    """Agreement of found with true intervals; all in [0, 1] but the counts.

    Attributes:
        found: how many intervals were found.
        true: how many there are.
        precision: share of the found that are true, at IoU >= 0.3.
        recall: share of the true that were found, at IoU >= 0.3.
        f1: harmonic mean of the two.
        f1_strict: the same at IoU >= 0.5.
        mean_iou: mean over the true intervals of the best IoU with any found one.
        hit_at_1: whether the one with the best score is true, at IoU >= 0.3.
        average_precision: area under precision over recall, at IoU >= 0.3.
    """

    model_config = ConfigDict(frozen=True)

    found: float
    true: float
    precision: float
    recall: float
    f1: float
    f1_strict: float
    mean_iou: float
    hit_at_1: float
    average_precision: float


LOOSE = 0.3
STRICT = 0.5


def temporal_iou(one: Interval, other: Interval) -> float:
    """Return the length of the intersection over that of the union, in [0, 1]."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = (one.end - one.start) + (other.end - other.start) - shared
    return max(0.0, shared) / union if union > 0 else 0.0


def hits(found: Sequence[Interval], true: Sequence[Interval], threshold: float) -> list[bool]:
    """Tell for each found interval, best score first, whether it hits a true one.

    A true interval can be hit once; each found one takes the best that is left, as in the
    ActivityNet evaluation (Caba Heilbron et al., 2015).
    """
    left = list(true)
    told = []
    for interval in _ranked(found):
        best = max(left, key=lambda moment: temporal_iou(interval, moment), default=None)
        hit = best is not None and temporal_iou(interval, best) >= threshold
        if best is not None and hit:
            left.remove(best)
        told.append(hit)
    return told


def average_precision(told: Sequence[bool], true: int) -> float:
    """Return the mean over the true intervals of the precision at the rank where each was hit."""
    total, right = 0.0, 0
    for rank, hit in enumerate(told, start=1):
        right += hit
        total += right / rank if hit else 0.0
    return total / true if true else 0.0


def f1(told: Sequence[bool], true: int) -> float:
    """Return the harmonic mean of precision and recall: 2 TP / (found + true)."""
    return 2 * sum(told) / (len(told) + true) if told or true else 0.0


def evaluate(found: Sequence[Interval], true: Sequence[Interval]) -> Quality:
    """Compare what was found with what is true."""
    loose = hits(found, true, LOOSE)
    best = [max((temporal_iou(m, i) for i in found), default=0.0) for m in true]
    return Quality(
        found=len(found),
        true=len(true),
        precision=sum(loose) / len(loose) if loose else 0.0,
        recall=sum(loose) / len(true) if true else 0.0,
        f1=f1(loose, len(true)),
        f1_strict=f1(hits(found, true, STRICT), len(true)),
        mean_iou=sum(best) / len(best) if best else 0.0,
        hit_at_1=float(bool(loose) and loose[0]),
        average_precision=average_precision(loose, len(true)),
    )


def mean(qualities: Sequence[Quality]) -> Quality:
    """Return the mean of each figure over several videos.

    Raises:
        ValueError: there are none.
    """
    if not qualities:
        raise ValueError("the mean of no results is undefined: evaluate at least one video")
    return Quality(
        **{
            name: sum(getattr(quality, name) for quality in qualities) / len(qualities)
            for name in Quality.model_fields
        }
    )


def _ranked(found: Sequence[Interval]) -> list[Interval]:
    return sorted(found, key=lambda interval: (-interval.score, interval.start))
