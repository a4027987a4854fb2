"""How long a moment takes to become a playable clip, through the whole stack at real time.

`python -m benchmarks.latency [--seeds 11 12 13] [--duration 180] [--report out.json]` plays
scripted matches concurrently, each as one live stream, to a `highlights dev` that it starts, and
reports for every clip the seconds from the live peak to each stage:

    known     the highlight is recorded: its last evidence was fetched, analysed and judged
    instant   its instant clip can be played: a playlist with at least one segment is read
    begun     its clip is begun: the last second of the clip is stored
    ready     the exact clip plays

Run it on an idle machine; the report has the load average.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks.quality.report import machine
from demo.match import Match, ensure_match
from demo.origin import LiveOrigin, OriginOptions
from demo.stack import Ready, Stack
from tldrtv_highlights import AsyncHighlightsClient
from tldrtv_highlights.models import ClipDetail, Highlight

TARGET: Final = 16.0
"""Seconds from moment to exact clip, at the 95th percentile."""

INSTANT_TARGET: Final = 10.0
"""Seconds from moment to instant clip, at the 95th percentile."""

_SEEDS: Final = (11, 12, 13)
_LOOK_INTERVAL: Final = 0.5
_NOT_PLAYED: Final[Mapping[str, datetime]] = {}


class Stages(BaseModel):
    """Seconds from a peak, live, to each stage of its clip; `tail` is the clip's part after it.

    `instant` is None if the exact clip was ready before a poll saw the highlight without it.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    peak: float
    tail: float
    known: float
    instant: float | None
    begun: float
    ready: float


class Figures(BaseModel):
    """Nearest-rank percentiles of one stage, in seconds."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p95: float
    max: float


class Report(BaseModel):
    """Everything measured; `load_average` is over a minute, before and at the end."""

    model_config = ConfigDict(frozen=True)

    machine: str
    load_average: tuple[float, float]
    pace: float
    duration: float
    target: float
    instant_target: float
    missed_segments: int
    clips: tuple[Stages, ...]
    figures: dict[str, Figures]


def main() -> None:
    """Measure, print and write down."""
    options = _options()
    console = Console(width=100)
    matches = []
    for seed in options.seeds:
        with console.status(f"match {seed}"):
            matches.append(ensure_match(options.home, seed=seed, duration=options.duration))
    before = os.getloadavg()[0]
    with console.status(f"playing {len(matches)} matches"):
        clips, missed = asyncio.run(_measure(matches, options.home, options.pace))
    report = Report(
        machine=machine(),
        load_average=(round(before, 2), round(os.getloadavg()[0], 2)),
        pace=options.pace,
        duration=options.duration,
        target=TARGET,
        instant_target=INSTANT_TARGET,
        missed_segments=missed,
        clips=tuple(clips),
        figures={
            stage: figures_of(
                [value for clip in clips if (value := getattr(clip, stage)) is not None]
            )
            for stage in ("tail", "known", "instant", "begun", "ready")
        },
    )
    _show(report, console)
    if options.report is not None:
        options.report.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=main.__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=_SEEDS)
    parser.add_argument("--duration", type=float, default=180.0, help="seconds of each match")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds of match per second")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    parser.add_argument("--report", type=Path, help="write the results here, as JSON")
    return parser.parse_args()


async def _measure(matches: Sequence[Match], home: Path, pace: float) -> tuple[list[Stages], int]:
    """Play the matches to a stack of their own; return their clips, and the segments lost."""
    with tempfile.TemporaryDirectory(prefix="latency-", dir=home) as directory:
        folder = Path(directory)
        async with Stack(state_dir=folder / "stack", home=home, log=folder / "log") as stack:
            ready = await stack.ready()
            played = await asyncio.gather(*(_play(match, ready, pace) for match in matches))
    return [clip for clips, _ in played for clip in clips], sum(missed for _, missed in played)


async def _play(match: Match, ready: Ready, pace: float) -> tuple[list[Stages], int]:
    playing = OriginOptions(pace=pace, autostart=False)
    async with (
        AsyncHighlightsClient(ready.api_url, ready.api_key) as client,
        httpx.AsyncClient() as viewer,
        LiveOrigin(match.video, playing) as origin,
    ):
        started = await client.streams.analyze(
            origin.master_url, game="soccer", title=f"{match.seed}"
        )
        await origin.wait_requested()
        origin.begin()
        playable: dict[str, datetime] = {}
        while True:
            await _note_playable(client, viewer, started.id, playable)
            stream = await client.streams.get(started.id)
            if stream.is_over:
                clips = await _clips(client, started.id, match.seed, origin, playable)
                return clips, stream.missed
            await asyncio.sleep(_LOOK_INTERVAL)


async def _note_playable(
    client: AsyncHighlightsClient,
    viewer: httpx.AsyncClient,
    stream_id: str,
    playable: dict[str, datetime],
) -> None:
    """Note when each highlight's instant clip was first seen to play."""
    async for highlight in client.highlights.list(stream_id=stream_id, limit=100):
        url = None if highlight.playback is None else highlight.playback.hls_url
        if highlight.id in playable or url is None:
            continue
        playlist = await viewer.get(url)
        segments = [line for line in playlist.text.splitlines() if line.startswith("http")]
        if not playlist.is_success or not segments:
            continue
        if (await viewer.get(segments[0])).is_success:
            playable[highlight.id] = datetime.now(UTC)


async def _clips(
    client: AsyncHighlightsClient,
    stream_id: str,
    seed: int,
    origin: LiveOrigin,
    playable: Mapping[str, datetime] = _NOT_PLAYED,
) -> list[Stages]:
    return [
        _stages(
            seed,
            highlight,
            await client.clips.get(highlight.clip.id),
            origin.live_at(highlight.peak),
            instant=playable.get(highlight.id),
        )
        async for highlight in client.highlights.list(stream_id=stream_id, limit=100)
        if highlight.clip is not None and highlight.clip.is_ready
    ]


def _stages(
    seed: int, highlight: Highlight, clip: ClipDetail, live: datetime, *, instant: datetime | None
) -> Stages:
    def after(moment: datetime | None) -> float:
        return round(((moment or clip.updated_at) - live).total_seconds(), 2)

    return Stages(
        seed=seed,
        peak=highlight.peak,
        tail=round(clip.end - highlight.peak, 2),
        known=after(highlight.created_at),
        instant=None if instant is None else after(instant),
        begun=after(clip.created_at),
        ready=after(clip.ready_at),
    )


def figures_of(seconds: Sequence[float]) -> Figures:
    """Return nearest-rank percentiles, which are never better than a measured value."""
    if not seconds:
        raise SystemExit("No clip was made, so there is nothing to measure.")
    ranked = sorted(seconds)

    def rank(share: float) -> float:
        return ranked[math.ceil(share * len(ranked)) - 1]

    return Figures(p50=rank(0.5), p95=rank(0.95), max=ranked[-1])


def _show(report: Report, console: Console) -> None:
    table = Table(title=f"seconds from the moment, {len(report.clips)} clips, pace {report.pace:g}")
    for heading in ("", "p50", "p95", "max"):
        table.add_column(heading, justify="left" if not heading else "right")
    for stage, figures in report.figures.items():
        table.add_row(stage, *(f"{value:.1f}" for value in (figures.p50, figures.p95, figures.max)))
    console.print(table)
    exact = "reached" if report.figures["ready"].p95 <= report.target else "missed"
    instant = "reached" if report.figures["instant"].p95 <= report.instant_target else "missed"
    before, after = report.load_average
    console.print(
        f"targets: p95 of instant at most {report.instant_target:g} s: {instant}; "
        f"p95 of ready at most {report.target:g} s: {exact}; "
        f"{report.missed_segments} segments missed\n"
        f"{report.machine}; load average {before} before, {after} at the end"
    )


if __name__ == "__main__":
    main()
