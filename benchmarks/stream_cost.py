"""What a live stream costs: CPU time and memory of the whole stack, and work of the database.

`python -m benchmarks.stream_cost [--streams 10] [--minutes 3] [--game soccer] [--before REV]
[--report out.json]` plays calm 360p streams at real-time pace to a `highlights dev` that it starts,
with Temporal, PostgreSQL, the API and a worker. It sums user and system time of all processes,
ended children included, between two points of time at which all streams are live. Its own process,
which has the origin, does not count. Memory is the proportional set size (Linux only). `--before`
runs the stack of another revision first, on the same streams.

CPU time hardly depends on what else the machine does; the lag of analysis does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import psutil
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks.quality.report import machine
from benchmarks.temporal_cost import calm_video
from demo.origin import LiveOrigin, OriginOptions
from demo.stack import Ready, Stack
from tldrtv_highlights import AsyncHighlightsClient

TARGET: Final = 2.0
"""Percent of a core per stream, in all."""

_ROOT: Final = Path(__file__).parent.parent
_IDLE: Final = 20.0  # in which the fixed costs are measured
_WARM_UP: Final = 40.0
_LEFT_AT_END: Final = 20.0
_START: Final = 3.0  # for the start of one stream; they start one after the other
_COUNTERS: Final = """
    SELECT xact_commit AS transactions, tup_inserted AS inserted, tup_updated AS updated,
      tup_deleted AS deleted, pg_current_wal_lsn() - '0/0'::pg_lsn AS wal_bytes,
      numbackends AS connections
    FROM pg_stat_database
    WHERE datname = current_database()
    """
_LEVELS: Final = frozenset({"connections"})


class Costs(BaseModel):
    """What was used: CPU in percent of a core, memory in MiB, lags in seconds of media time.

    Attributes:
        idle: CPU of the idle stack, by kind of process.
        per_stream: CPU for each stream, fixed costs included.
        idle_memory: memory of the idle stack, by kind of process.
        memory: the same with all streams.
        idle_database: transactions, rows and bytes of WAL in an hour of the idle stack, and the
            connections that are open.
        database: the same with all streams.
    """

    model_config = ConfigDict(frozen=True)

    revision: str
    game: str
    streams: int
    seconds: float
    load_average: tuple[float, float]
    idle: dict[str, float]
    per_stream: dict[str, float]
    idle_memory: dict[str, float]
    memory: dict[str, float]
    idle_database: dict[str, float]
    database: dict[str, float]
    missed_segments: int
    longest_lag: float

    @property
    def total(self) -> float:
        """Percent of a core for each stream, fixed costs included."""
        return round(sum(self.per_stream.values()), 2)


class Report(BaseModel):
    """All runs, in order."""

    model_config = ConfigDict(frozen=True)

    machine: str
    runs: tuple[Costs, ...]


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream_cost")
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser.add_argument("--streams", type=int, default=10, help="number of live streams")
    parser.add_argument("--minutes", type=float, default=3.0, help="minutes that count")
    parser.add_argument("--game", default="soccer", help="`default` reads no screen")
    parser.add_argument("--before", help="revision to measure first")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    parser.add_argument("--report", type=Path, help="write the results here, as JSON")
    options = parser.parse_args()
    seconds = 60 * options.minutes
    played = _START * options.streams + _WARM_UP + seconds + _LEFT_AT_END
    video = calm_video(options.home, played)

    def measured(revision: str, code: Path) -> Costs:
        return asyncio.run(
            _measure(
                video,
                options.streams,
                seconds,
                options.home,
                code,
                revision=revision,
                game=options.game,
            )
        )

    runs = []
    if options.before is not None:
        with _checkout(options.before) as code:
            runs.append(measured(options.before, code))
    runs.append(measured("this checkout", _ROOT))
    report = Report(machine=machine(), runs=tuple(runs))
    _print(report)
    if options.report is not None:
        options.report.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


@contextmanager
def _checkout(revision: str) -> Iterator[Path]:
    """Check a revision out, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="stream-cost-") as folder:
        code = Path(folder) / "code"
        git = ("git", "-C", str(_ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(code), revision], check=True)
        try:
            yield code
        finally:
            subprocess.run([*git, "remove", "--force", str(code)], check=True)


async def _measure(
    video: Path, streams: int, seconds: float, home: Path, code: Path, *, revision: str, game: str
) -> Costs:
    before = os.getloadavg()[0]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cost-", dir=home)))
        started = Stack(state_dir=folder / "stack", home=home, log=folder / "log", code=code)
        await stack.enter_async_context(started)
        ready = await started.ready()
        api = await stack.enter_async_context(AsyncHighlightsClient(ready.api_url, ready.api_key))
        idle = await _used(ready, _IDLE)
        idle_memory = _memory(ready)
        names = []
        for _ in range(streams):
            origin = LiveOrigin(video, OriginOptions(autostart=False))
            await stack.enter_async_context(origin)
            stream = await api.streams.analyze(origin.master_url, game=game, title="cost")
            names.append(stream.id)
            await origin.wait_requested()
            origin.begin()
        await asyncio.sleep(_WARM_UP)
        used = await _used(ready, seconds)
        found = [await api.streams.get(name) for name in names]
        if over := [each.end for each in found if each.is_over]:
            raise SystemExit(f"Streams ended before they were measured: {over}")
        return Costs(
            revision=revision,
            game=game,
            streams=streams,
            seconds=seconds,
            load_average=(round(before, 2), round(os.getloadavg()[0], 2)),
            idle=_rounded(idle.cpu),
            per_stream=_rounded(used.cpu, streams),
            idle_memory=idle_memory,
            memory=_memory(ready),
            idle_database=_rounded(idle.database),
            database=_rounded(used.database),
            missed_segments=sum(each.missed for each in found),
            longest_lag=round(max(each.position - each.analyzed for each in found), 1),
        )


@dataclass(frozen=True)
class Used:
    """CPU in percent of a core by kind of process, and work of the database in an hour."""

    cpu: Mapping[str, float]
    database: Mapping[str, float]


async def _used(ready: Ready, seconds: float) -> Used:
    """Return what the stack uses in the next `seconds`."""
    first, rows, began = _cpu_seconds(ready), await _counters(ready), time.monotonic()
    await asyncio.sleep(seconds)
    last, later, took = _cpu_seconds(ready), await _counters(ready), time.monotonic() - began
    hourly = {name: 3600 * (later[name] - rows[name]) / took for name in later}
    levels = {name: later[name] for name in _LEVELS}
    return Used({name: 100 * (last[name] - first[name]) / took for name in last}, hourly | levels)


def _rounded(figures: Mapping[str, float], share: int = 1) -> dict[str, float]:
    return {name: round(each / share, 2) for name, each in figures.items()}


async def _counters(ready: Ready) -> dict[str, float]:
    """Return PostgreSQL's counters; the worker's environment says where it is."""
    url = psutil.Process(ready.pids["worker"]).environ()["DATABASE_URL"]
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        row = await connection.fetchrow(_COUNTERS)
    finally:
        await connection.close()
    return {name: float(value) for name, value in row.items()}


def _memory(ready: Ready) -> dict[str, float]:
    """Return the memory of each part of the stack in MiB; shared pages count once."""
    found: dict[str, float] = {}
    for name, pid in ready.pids.items():
        process = psutil.Process(pid)
        children = "media children" if name == "worker" else name
        for kind, each in (
            (name, process),
            *((children, c) for c in process.children(recursive=True)),
        ):
            try:
                size = each.memory_full_info().pss / 2**20
            except psutil.NoSuchProcess:
                continue
            found[kind] = round(found.get(kind, 0.0) + size, 1)
    return found


def _cpu_seconds(ready: Ready) -> dict[str, float]:
    """Return the CPU seconds of each part of the stack; children of the worker are a part."""
    found = {}
    for name, pid in ready.pids.items():
        process = psutil.Process(pid)
        times = process.cpu_times()
        own = times.user + times.system
        children = times.children_user + times.children_system
        for each in process.children(recursive=True):
            try:
                times = each.cpu_times()
            except psutil.NoSuchProcess:
                continue  # its parent has its time
            children += times.user + times.system + times.children_user + times.children_system
        if name == "worker":
            found["media children"] = children
            children = 0.0
        found[name] = own + children
    return found


def _print(report: Report) -> None:
    console = Console()
    console.print(f"{report.machine}")
    table = Table(title="CPU in percent of a core for each stream (of the idle stack in brackets)")
    table.add_column("process")
    for each in report.runs:
        table.add_column(f"{each.revision}, {each.streams} streams", justify="right")
    for name in report.runs[-1].per_stream:
        table.add_row(
            name,
            *(
                f"{each.per_stream.get(name, 0.0):.2f} ({each.idle.get(name, 0.0):.2f})"
                for each in report.runs
            ),
        )
    table.add_row("in all", *(f"{each.total:.2f}" for each in report.runs))
    table.add_row("segments missed", *(str(each.missed_segments) for each in report.runs))
    table.add_row("longest lag of analysis", *(f"{each.longest_lag} s" for each in report.runs))
    table.add_row("load average", *(str(each.load_average) for each in report.runs))
    console.print(table)
    for each in report.runs:
        console.print(
            f"{each.revision}, idle and with {each.streams} streams:\n"
            f"memory, MiB: {each.idle_memory}\n             {each.memory}\n"
            f"database, in an hour: {each.idle_database}\n                      {each.database}"
        )
    console.print(f"Target: {TARGET} % in all.")


if __name__ == "__main__":
    main()
