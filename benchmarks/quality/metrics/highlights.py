"""Highlight detection as QVHighlights measures it: every two seconds of the video are ranked.

The video is cut into clips of two seconds; each annotator rates each clip as a highlight, and the
measured method gives each a saliency. Lei, Berg and Bansal, "QVHighlights: Detecting
Moments and Highlights in Videos via Natural Language Queries", NeurIPS 2021, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from benchmarks.quality.metrics.overlap import Interval
from benchmarks.quality.metrics.ranking import average_precision

CLIP_SECONDS: Final = 2.0
"""Length of a clip in QVHighlights."""

Relevance = tuple[tuple[bool, ...], ...]
"""By annotator: whether each clip of the video is a highlight ("Very Good" in QVHighlights)."""


def mean_average_precision(saliency: Sequence[float], relevance: Relevance) -> float:
    """Return the HD mAP of one video: `1/A · Σₐ AP(saliency, relevanceₐ)` over its annotators.

    AP is the interpolated one; an annotator who saw no highlight counts 0, as in the official
    evaluation. Clips that `saliency` does not reach have 0; those beyond the annotation are left
    out.
    """
    precisions = [
        average_precision(_fitted(saliency, len(clips)), clips, sum(clips)) for clips in relevance
    ]
    return sum(precisions) / len(precisions) if precisions else 0.0


def hit_at_1(saliency: Sequence[float], relevance: Relevance) -> float:
    """Return the HIT@1 of one video: 1 when the most salient clip is a highlight to any annotator.

    Where several are equally salient, the share of them that are: the expectation of a fair draw,
    where the official evaluation takes the first.
    """
    count = max(map(len, relevance), default=0)
    fitted = _fitted(saliency, count)
    if not fitted:
        return 0.0
    top = [index for index, value in enumerate(fitted) if value == max(fitted)]
    return sum(any(clips[index] for clips in relevance) for index in top) / len(top)


def relevance_of(moments: Sequence[Interval], duration: float) -> Relevance:
    """Return the clips at least half of which lies within a true moment, by one annotator."""
    return (
        tuple(
            sum(_shared(clip, moment) for moment in moments) >= CLIP_SECONDS / 2
            for clip in _clips(duration)
        ),
    )


def saliency_of(found: Sequence[Interval], duration: float) -> tuple[float, ...]:
    """Return the saliency of each clip by found intervals, over a video of `duration` s.

    That is `max over intervals (score · |interval ∩ clip| / |clip|)`; scores must not be negative.
    """
    return tuple(
        max((one.score * _shared(clip, one) / CLIP_SECONDS for one in found), default=0.0)
        for clip in _clips(duration)
    )


def _clips(duration: float) -> list[Interval]:
    """Return the whole clips of a video, and the rest at its end if it is half a clip or more."""
    count = math.floor(duration / CLIP_SECONDS + 0.5)
    return [
        Interval(start=index * CLIP_SECONDS, end=(index + 1) * CLIP_SECONDS)
        for index in range(count)
    ]


def _shared(one: Interval, other: Interval) -> float:
    return max(0.0, min(one.end, other.end) - max(one.start, other.start))


def _fitted(saliency: Sequence[float], count: int) -> list[float]:
    return [*saliency[:count], *[0.0] * (count - len(saliency))]
