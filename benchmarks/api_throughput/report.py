"""Results, as JSON and as text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from rich.table import Table


class Round(BaseModel):
    """One server under load for some seconds.

    `rate` is in answers a second, `p50` and `p99` in milliseconds (nearest rank), `cpu` in
    milliseconds of the server process for each answer, `size` in bytes of each answer.
    """

    model_config = ConfigDict(frozen=True)

    rate: float
    p50: float
    p99: float
    cpu: float
    size: float
    generator_share: float


class Comparison(BaseModel):
    """Alternating rounds of both servers, in pairs."""

    model_config = ConfigDict(frozen=True)

    operation: str
    ours: tuple[Round, ...]
    bare: tuple[Round, ...]

    @property
    def rate_ratio(self) -> float:
        """Ratio of our throughput to the reference's: the median over the pairs of rounds."""
        return statistics.median(
            ours.rate / bare.rate for ours, bare in zip(self.ours, self.bare, strict=True)
        )

    @property
    def cpu_ratio(self) -> float:
        """The same for processor time, which other load affects less."""
        return statistics.median(
            bare.cpu / ours.cpu for ours, bare in zip(self.ours, self.bare, strict=True)
        )


class Report(BaseModel):
    """Everything measured; `load_average` is over a minute, before and at the end."""

    model_config = ConfigDict(frozen=True)

    machine: str
    load_average: tuple[float, float]
    connections: int
    duration: float
    comparisons: tuple[Comparison, ...]


def percentile(ranked: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile, which is never better than a measured value."""
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def table(comparison: Comparison) -> Table:
    """Return the medians over the rounds, and the ratios."""
    shown = Table(title=comparison.operation)
    for heading in ("", "answers/s", "p50 ms", "p99 ms", "CPU ms", "bytes", "generator"):
        shown.add_column(heading, justify="right" if heading else "left")
    for name, rounds in (("ours", comparison.ours), ("bare", comparison.bare)):
        shown.add_row(
            name,
            f"{_middle(rounds, 'rate'):.0f}",
            f"{_middle(rounds, 'p50'):.1f}",
            f"{_middle(rounds, 'p99'):.1f}",
            f"{_middle(rounds, 'cpu'):.2f}",
            f"{_middle(rounds, 'size'):.0f}",
            f"{_middle(rounds, 'generator_share'):.0%}",
        )
    shown.add_row(
        "ratio", f"{comparison.rate_ratio:.2f}", "", "", f"{comparison.cpu_ratio:.2f}", "", ""
    )
    return shown


def _middle(rounds: Sequence[Round], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in rounds))
