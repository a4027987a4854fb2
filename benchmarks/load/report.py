"""Figures of a run, and their table with targets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

_TARGETS: Final = {"history events": "1,000"}


class Figures(BaseModel):
    """Nearest-rank percentiles, in seconds."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p95: float
    p99: float
    max: float
    count: int

    def __str__(self) -> str:
        return f"{self.p50:.1f} / {self.p95:.1f} / {self.p99:.1f} ({self.count})"


def figures_of(seconds: Sequence[float]) -> Figures:
    """Return nearest-rank percentiles, which are never better than a measured value.

    Raises:
        ValueError: there is no value.
    """
    if not seconds:
        raise ValueError("There is no value, so there is nothing to measure.")
    ranked = sorted(seconds)

    def rank(share: float) -> float:
        return ranked[math.ceil(share * len(ranked)) - 1]

    return Figures(p50=rank(0.5), p95=rank(0.95), p99=rank(0.99), max=ranked[-1], count=len(ranked))


def measured(seconds: Sequence[float]) -> Figures | None:
    """Return percentiles; None without a value."""
    return figures_of(seconds) if seconds else None


class Latencies(BaseModel):
    """Seconds behind live, and from a moment (its peak, live) to what a tenant receives."""

    model_config = ConfigDict(frozen=True)

    behind_live: Figures | None
    known: Figures | None
    playable: Figures | None
    exact: Figures | None


class Neighbor(BaseModel):
    """The only stream of another tenant: alone, and beside the load."""

    model_config = ConfigDict(frozen=True)

    alone: Latencies
    beside: Latencies

    def slowdown(self) -> float | None:
        """Return the ratio of the medians of the seconds behind live."""
        alone, beside = self.alone.behind_live, self.beside.behind_live
        return None if alone is None or beside is None else beside.p50 / alone.p50


class Report(BaseModel):
    """Everything measured in one run.

    Attributes:
        seconds: measured, while all streams were live.
        busy: share of all cores that was in use on the machine.
        cpu: percent of a core for each stream, by kind of process, the idle stack's included.
        idle_cpu: percent of a core of the idle stack, in all, by kind of process.
        memory: MiB (PSS) with all streams, by kind of process.
        memory_per_stream: MiB that each stream adds, by kind of process.
        hourly: of one stream in an hour: events, actions, bytes, rows, requests.
        dollars: of one stream in an hour, by item, at list prices.
        plain_ffmpeg: percent of a core of `ffmpeg -c copy -f segment` for each stream.
        stopped: streams that ended while they were measured.
        begun: streams that there were when the span began.
        stored: share of the media published in the span that was stored in it.
        not_made: moments without an exact clip when the run ended.
        profile: the functions that take most of the busiest process, share first.
    """

    model_config = ConfigDict(frozen=True)

    machine: str
    date: str
    load_average: tuple[float, float]
    streams: int
    begun: int
    height: int
    seconds: float
    busy: float
    published: int
    missed: int
    stored: float
    stopped: int
    not_made: int
    latencies: Latencies
    cpu: dict[str, float]
    idle_cpu: dict[str, float]
    memory: dict[str, float]
    memory_per_stream: dict[str, float]
    hourly: dict[str, float]
    dollars: dict[str, float]
    plain_ffmpeg: float
    deliveries: int
    events_read: int
    requests: int
    failed_requests: int
    neighbor: Neighbor | None = None
    profile: tuple[str, ...] = ()

    @property
    def cpu_in_all(self) -> float:
        """Percent of a core for each stream."""
        return sum(self.cpu.values())

    @property
    def dollars_in_all(self) -> float:
        """Dollars per stream-hour, without Gemini."""
        return sum(self.dollars.values())


def table(report: Report) -> str:
    """Return the report in Markdown, for benchmarks/RESULTS.md."""
    before, after = report.load_average
    title = f"{report.streams} streams of {report.height} lines, {report.seconds:.0f} s"
    lines = [
        f"### {title}, {report.date}",
        "",
        f"{report.machine}; load average {before} before, {after} at the end.",
        "",
        "| figure | measured | target |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in _rows(report)),
    ]
    if report.profile:
        lines += ["", "The busiest process (py-spy, inclusive):", "", *report.profile]
    return "\n".join(lines) + "\n"


def _rows(report: Report) -> Iterator[tuple[str, str, str]]:
    latencies, plain = report.latencies, report.plain_ffmpeg
    yield "segments missed, of those published", f"{report.missed} of {report.published}", "0"
    yield "streams begun", str(report.begun), str(report.streams)
    yield "media stored, % of that published", f"{100 * report.stored:.1f}", "100"
    yield "streams that ended early", str(report.stopped), "0"
    yield "moments without an exact clip at the end", str(report.not_made), "0"
    yield "seconds behind live: p50 / p95 / p99 (count)", _of(latencies.behind_live), ""
    yield "moment to its webhook, s", _of(latencies.known), ""
    yield "moment to first playable, s", _of(latencies.playable), ""
    yield "moment to exact clip, s", _of(latencies.exact), "p95 20"
    yield "CPU of a stream, % of a core", f"{report.cpu_in_all:.2f}", "2.0"
    for name, value in report.cpu.items():
        yield f"- {name}", f"{value:.2f}", ""
    yield "CPU of the idle stack, in all, % of a core", f"{sum(report.idle_cpu.values()):.2f}", ""
    yield "CPU of plain `ffmpeg -c copy` for a stream", f"{plain:.2f}", ""
    yield "ratio of ours to it", _ratio(report.cpu_in_all, plain), ""
    yield "machine in use, % of all cores", f"{100 * report.busy:.0f}", ""
    for name, value in report.memory.items():
        yield f"memory, MiB: {name}", f"{value:.0f}", ""
    yield "memory that a stream adds, MiB", f"{sum(report.memory_per_stream.values()):.1f}", ""
    for name, value in report.hourly.items():
        yield f"{name} of a stream-hour", f"{value:,.0f}", _TARGETS.get(name, "")
    for name, value in report.dollars.items():
        yield f"dollars of a stream-hour: {name}", f"{value:.4f}", ""
    yield "dollars of a stream-hour, without Gemini", f"{report.dollars_in_all:.4f}", "0.10"
    yield "deliveries received", f"{report.deliveries:,}", ""
    yield "events read by SSE", f"{report.events_read:,}", ""
    yield "API requests", f"{report.requests:,}", ""
    yield "- failed ones", f"{report.failed_requests:,}", "0"
    if report.neighbor is not None:
        alone, beside = report.neighbor.alone, report.neighbor.beside
        yield "another tenant's stream alone: s behind live", _of(alone.behind_live), ""
        yield "- moment to exact clip, s", _of(alone.exact), ""
        yield "the same beside the load: s behind live", _of(beside.behind_live), ""
        yield "- moment to exact clip, s", _of(beside.exact), ""
        slowdown = report.neighbor.slowdown()
        yield "its slowdown (medians)", "–" if slowdown is None else f"{slowdown:.2f}", "1.10"


def _of(figures: Figures | None) -> str:
    return "–" if figures is None else str(figures)


def _ratio(value: float, base: float) -> str:
    return f"{value / base:.1f}" if base else "–"
