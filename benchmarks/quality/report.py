"""The benchmark's results, as data."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from benchmarks.quality.metrics import BoundaryErrors, Calibration, Detection

CORE_HOUR_USD: Final = 0.04048
"""AWS Fargate's price of one vCPU-hour (Linux on x86, us-east-1, 2025): the default."""


class Figures(Detection):
    """A method's figures on one video, those of QVHighlights' highlight detection included.

    Attributes:
        hd_map: mean average precision of the ranking of all two-second clips.
        hit_at_1: whether the most salient clip is a highlight.
    """

    hd_map: float
    hit_at_1: float


class Row(BaseModel):
    """One method's results: by video, and the errors of its bounds over all of them."""

    model_config = ConfigDict(frozen=True)

    method: str
    videos: dict[str, Figures]
    bounds: BoundaryErrors

    @property
    def mean(self) -> Figures:
        """The mean over the videos, each counting alike."""
        every = list(self.videos.values())
        return Figures(
            **{
                name: sum(getattr(figures, name) for figures in every) / len(every)
                for name in Figures.model_fields
            }
        )


class ProductFigures(BaseModel):
    """Figures of the product that baselines do not have.

    Attributes:
        f1_interval: in which the mean F1 lies with 95 % probability, as far as so few videos show.
        taken_for_moments: how many false clips fall on each kind of distractor; `""` is none.
        missed: how many moments of each kind were not found.
        calibration: of the combined scores of all candidates, read as probabilities of a moment.
        shown_after_median: seconds of media time from a moment's peak to the end of the window
            that showed its clip.
        shown_after_p90: 90th percentile of the same.
        cpu_share: the analysis' share of one core at real-time pace.
        usd_per_stream_hour: what that share costs. Nothing is sent to a paid model.
    """

    model_config = ConfigDict(frozen=True)

    f1_interval: tuple[float, float]
    taken_for_moments: dict[str, int]
    missed: dict[str, int]
    calibration: Calibration
    shown_after_median: float | None
    shown_after_p90: float | None
    cpu_share: float
    usd_per_stream_hour: float


class Group(BaseModel):
    """All results on some videos; `ablations` are the product without a signal, by its name."""

    model_config = ConfigDict(frozen=True)

    name: str
    videos: tuple[str, ...]
    rows: tuple[Row, ...]
    ablations: tuple[Row, ...]
    product: ProductFigures


class Report(BaseModel):
    """Everything measured: `core_hour_usd` is the price assumed, `tools` what baselines used."""

    model_config = ConfigDict(frozen=True)

    machine: str
    core_hour_usd: float
    tools: dict[str, str]
    groups: tuple[Group, ...]
    generator_version: int | None = None
    duration: float | None = None
    notes: tuple[str, ...] = ()


def machine() -> str:
    """Describe this machine in a line."""
    model, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )
