"""What was taken for a moment, and which moments were missed."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.quality.metrics import Interval, pairs, temporal_iou
from benchmarks.quality.metrics.detection import LOOSE
from benchmarks.quality.truth import GroundTruth


def mistakes(clips: Sequence[Interval], truth: GroundTruth) -> tuple[list[str], list[str]]:
    """Return the kind of what each false clip shows, and the kind of each missed moment.

    A clip is false and a moment missed as in precision and recall, at IoU >= 0.3. A false clip
    shows the distractor or the moment (by its kind and `again`) that it overlaps most; `""` where
    it overlaps nothing that the truth names.
    """
    told = pairs(clips, truth.moments, LOOSE)
    hit = [moment for _, moment in told if moment is not None]
    missed = [moment.kind for moment in truth.moments if moment not in hit]
    return [_shown(clip, truth) for clip, moment in told if moment is None], missed


def _shown(clip: Interval, truth: GroundTruth) -> str:
    named = [
        *((moment, f"{moment.kind} again".strip()) for moment in truth.moments),
        *((distractor, distractor.kind) for distractor in truth.distractors),
    ]
    overlaps = [(temporal_iou(clip, interval), kind) for interval, kind in named]
    overlap, kind = max(overlaps, default=(0.0, ""), key=lambda told: told[0])
    return kind if overlap > 0 else ""
