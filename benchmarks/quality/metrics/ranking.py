"""Average precision of a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise


def average_precision(scores: Sequence[float], right: Sequence[bool], positives: int) -> float:
    """Return the area under the interpolated curve of precision over recall, in [0, 1].

    `AP = Σₖ (Rₖ - Rₖ₋₁) · max_{j ≥ k} Pⱼ`, where `Pₖ` and `Rₖ` are precision and recall of
    everything scored at least as high as the k-th distinct score. The maximum is the interpolation
    of PASCAL VOC 2010 (Everingham et al.), which ActivityNet and QVHighlights use. What is scored
    alike is ranked alike: a method without an order gets no credit for a lucky one.

    Args:
        scores: of what was found.
        right: whether each of them is right.
        positives: how many there are to be found, the missed ones included; 0 gives 0, as in the
            evaluation of QVHighlights.

    Raises:
        ValueError: `scores` and `right` differ in length, or more are right than there are.
    """
    if sum(right) > positives:
        raise ValueError(f"{sum(right)} are right, but there are only {positives} to be found")
    order = sorted(zip(scores, right, strict=True), key=lambda told: -told[0])
    found, taken, curve = 0, 0, [(0, 1.0)]
    for _, alike in groupby(order, key=lambda told: told[0]):
        outcomes = [hit for _, hit in alike]
        found, taken = found + sum(outcomes), taken + len(outcomes)
        curve.append((found, found / taken))
    area = best = 0.0
    for (before, _), (upto, precision) in reversed(list(pairwise(curve))):
        best = max(best, precision)
        area += (upto - before) * best
    return area / positives if positives else 0.0
