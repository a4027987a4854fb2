"""The benchmark's results, for programs and for people."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from benchmarks.quality.metrics import Quality, mean


class Row(BaseModel):
    """One method's results: by seed, and their mean."""

    model_config = ConfigDict(frozen=True)

    method: str
    seeds: dict[int, Quality]

    @property
    def mean(self) -> Quality:
        """The mean over the seeds."""
        return mean(list(self.seeds.values()))


class Report(BaseModel):
    """Everything measured; `cpu_share` is the analysis' share of one core at real-time pace."""

    model_config = ConfigDict(frozen=True)

    machine: str
    generator_version: int
    kind: str
    duration: float
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    cpu_share: float


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


def table(report: Report, seed: int | None = None) -> Table:
    """Return the methods' figures for one seed, or their means."""
    title = f"seed {seed}" if seed is not None else f"mean of seeds {_listed(report.seeds)}"
    shown = Table(title=f"{report.kind}, {report.duration:g} s, {title}")
    for heading in (
        "method", "clips", "precision", "recall", "F1", "F1 at 0.5", "mean IoU", "hit@1", "AP",
    ):  # fmt: skip
        shown.add_column(heading, justify="left" if heading == "method" else "right")
    for row in report.rows:
        quality = row.mean if seed is None else row.seeds[seed]
        shown.add_row(
            row.method,
            f"{quality.found:.3g}",
            *(
                f"{figure:.2f}"
                for figure in (
                    quality.precision, quality.recall, quality.f1, quality.f1_strict,
                    quality.mean_iou, quality.hit_at_1, quality.average_precision,
                )
            ),
        )  # fmt: skip
    return shown


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
