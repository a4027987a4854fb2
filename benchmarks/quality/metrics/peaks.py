"""Whether clips hold the instants that matter, whatever their bounds."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.quality.metrics.overlap import Interval, ranked
from benchmarks.quality.metrics.ranking import average_precision


def peak_recall(found: Sequence[Interval], peaks: Sequence[float]) -> float:
    """Return the share of the peaks (seconds) that lie in some clip; 0 if there are no peaks."""
    inside = sum(any(clip.start <= peak <= clip.end for clip in found) for peak in peaks)
    return inside / len(peaks) if peaks else 0.0


def peak_average_precision(found: Sequence[Interval], peaks: Sequence[float]) -> float:
    """Return the average precision of the clips by score, a clip with a peak being right.

    One to one: a clip, best score first, takes the first peak in it that no better clip has taken;
    a clip without one is wrong. AP is the interpolated one of `average_precision`.
    """
    left, right = sorted(peaks), []
    for clip in ranked(found):
        inside = next((peak for peak in left if clip.start <= peak <= clip.end), None)
        right.append(inside is not None)
        if inside is not None:
            left.remove(inside)
    return average_precision([clip.score for clip in ranked(found)], right, len(peaks))
