"""The metrics of the field, pure functions, each with its formula and source."""

from __future__ import annotations

from benchmarks.quality.metrics.bounds import BoundaryErrors, boundary_errors, nearest_rank
from benchmarks.quality.metrics.calibration import Calibration, calibration
from benchmarks.quality.metrics.detection import Detection, detect, f1, mean_iou
from benchmarks.quality.metrics.highlights import (
    CLIP_SECONDS,
    Relevance,
    hit_at_1,
    mean_average_precision,
    relevance_of,
    saliency_of,
)
from benchmarks.quality.metrics.overlap import Interval, hits, pairs, temporal_iou
from benchmarks.quality.metrics.peaks import peak_average_precision, peak_recall
from benchmarks.quality.metrics.ranking import average_precision
from benchmarks.quality.metrics.spread import bootstrap_interval

__all__ = [
    "CLIP_SECONDS",
    "BoundaryErrors",
    "Calibration",
    "Detection",
    "Interval",
    "Relevance",
    "average_precision",
    "bootstrap_interval",
    "boundary_errors",
    "calibration",
    "detect",
    "f1",
    "hit_at_1",
    "hits",
    "mean_average_precision",
    "mean_iou",
    "nearest_rank",
    "pairs",
    "peak_average_precision",
    "peak_recall",
    "relevance_of",
    "saliency_of",
    "temporal_iou",
]
