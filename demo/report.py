"""The file that says what a demo has found."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import NonNegativeFloat, NonNegativeInt

from demo.model import Model


class FoundHighlight(Model):
    """One highlight: its clip's bounds, its peak, and how long after the peak the clip was ready.

    Times are seconds of the input, `latency` is seconds of wall clock, `clip` an absolute path.
    """

    start: NonNegativeFloat
    end: NonNegativeFloat
    peak: NonNegativeFloat
    score: float
    dimensions: dict[str, float]
    clip: Path
    latency: float


class SegmentCount(Model):
    """How many segments the origin published, and how many of them the product lost."""

    published: NonNegativeInt
    missed: NonNegativeInt


class Report(Model):
    """What was found in an input of `duration` seconds."""

    duration: NonNegativeFloat
    highlights: tuple[FoundHighlight, ...]
    segments: SegmentCount


def write_report(report: Report, path: Path) -> None:
    """Write the report as JSON, whole or not at all, making its folder if need be.

    Raises:
        OSError: the place cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(report.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
