"""Ground-truth files in our format and others, recognized by their content."""

from __future__ import annotations

from benchmarks.quality.truth.file import read_ground_truth
from benchmarks.quality.truth.ground_truth import GroundTruth, Moment
from benchmarks.quality.truth.wanted import Wanted

__all__ = ["GroundTruth", "Moment", "Wanted", "read_ground_truth"]
