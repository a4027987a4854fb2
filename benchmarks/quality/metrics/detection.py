"""How well found clips agree with true moments: precision, recall, average precision by IoU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from benchmarks.quality.metrics.overlap import Interval, hits, ranked, temporal_iou
from benchmarks.quality.metrics.ranking import average_precision

LOOSE: Final = 0.3
"""IoU from which a clip counts as one of the moment at all (issue 3 of this product)."""

AP_AT: Final = (0.5, 0.7)
"""IoUs of average precision: those at which QVHighlights reports recall (Lei et al. 2021)."""


class Detection(BaseModel):
    """Agreement of found clips with true moments; all in [0, 1] but the counts.

    Attributes:
        found: how many clips were found.
        true: how many moments there are.
        precision: share of the clips that hit a moment, at IoU >= 0.3: `TP / found`.
        recall: share of the moments that were hit, at IoU >= 0.3: `TP / true`.
        f1: harmonic mean of the two.
        ap_50: interpolated average precision at IoU >= 0.5.
        ap_70: the same at IoU >= 0.7.
        mean_iou: mean over the moments of the best IoU with any clip.
    """

    model_config = ConfigDict(frozen=True)

    found: float
    true: float
    precision: float
    recall: float
    f1: float
    ap_50: float
    ap_70: float
    mean_iou: float


def detect(found: Sequence[Interval], true: Sequence[Interval]) -> Detection:
    """Compare the clips found in one video with its true moments.

    Where nothing is to be found, finding nothing is right: precision, recall and F1 are 1.
    """
    loose = hits(found, true, LOOSE)
    nothing = float(not found and not true)
    scores = [clip.score for clip in ranked(found)]
    ap_50, ap_70 = (
        average_precision(scores, hits(found, true, threshold), len(true)) for threshold in AP_AT
    )
    return Detection(
        found=len(found),
        true=len(true),
        precision=sum(loose) / len(loose) if loose else nothing,
        recall=sum(loose) / len(true) if true else nothing,
        f1=f1(found, true),
        ap_50=ap_50,
        ap_70=ap_70,
        mean_iou=mean_iou(found, true),
    )


def f1(found: Sequence[Interval], true: Sequence[Interval]) -> float:
    """Return `2 TP / (found + true)` at IoU >= 0.3: the harmonic mean of precision and recall."""
    if not found and not true:
        return 1.0
    return 2 * sum(hits(found, true, LOOSE)) / (len(found) + len(true))


def mean_iou(found: Sequence[Interval], true: Sequence[Interval]) -> float:
    """Return the mean over the moments of the best IoU with any clip."""
    if not true:
        return float(not found)
    best = [max((temporal_iou(moment, clip) for clip in found), default=0.0) for moment in true]
    return sum(best) / len(best)
