"""Throughput of 100ms events, and the cost of a flood of duplicates.

`python -m benchmarks.inbound [--seconds 10] [--rounds 3] [--connections 32] [--rate 1000]
[--start-rate 10] [--duplicates 10000] [--profile] [--outage 60]` measures, over connections that
are kept open:

    others      events that concern no stream, by both servers in turns, as fast as each answers
    paced       the same at `--rate` a second, ours alone: the times that a sender sees
    starts      starts of new beams, each of which makes a stream and its workflow, at
                `--start-rate` a second, and as a flood
    duplicates  one start again and again, which must make one workflow

The bare server (`bare.py`) INSERTs the same row for each event of `others`. PostgreSQL is one for
both, and waits for the disk. Sender, servers, PostgreSQL and Temporal share this machine's
processors. A time is that of one request, at `--rate` from when it should have been sent.
"To signal" is the time from the arrival of an event to the signal to its workflow, by the
database's clock. A worker processes the sessions (`worker.py`); the workflows of streams only wait.

`--profile` prints what our server's time goes to under `others` (by cProfile, which slows it down,
so that its figures do not count). `--outage` stops Temporal for so many seconds while whole lives
of streams arrive, lets the relay do what is pending, and compares each workflow's history with the
events sent.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pstats
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from benchmarks.inbound.load import Outcome
from benchmarks.inbound.outage import measure_outage
from benchmarks.inbound.processing import deliver_rest, reading
from benchmarks.inbound.stage import Stage, send, stage
from benchmarks.quality.report import machine
from infra.settings import Settings
from infra.telemetry import logs
from infra.temporal.client import connect

TARGET_RATE: Final = 1000.0
"""Events a second, received on two processors."""

TARGET_P99: Final = 0.050
"""Seconds."""

_START: Final = ("hls.started.success",)
_SHOWN: Final = 40
_STEADY: Final = 5
_UNTIL_TOLD: Final = """
    SELECT extract(epoch FROM delivered_at - received_at)::float8 AS seconds
    FROM inbound_events WHERE event_id LIKE $1 || '%' AND delivered_at IS NOT NULL
"""


class Figures(BaseModel):
    """One load: requests, their rate, percentiles and processor time of each, in seconds."""

    model_config = ConfigDict(frozen=True)

    requests: int
    rate: float
    p50: float
    p99: float
    cpu: float
    sender_share: float


def percentile(ranked: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed, of values in order."""
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def main() -> None:
    """Measure and print."""
    options = _options()
    console = Console(width=100)
    if options.profile:
        _print_profile(options)
        return
    logs.configure(Settings(log_level="warning"), component="benchmark")
    before = os.getloadavg()[0]
    with stage() as running, console.status("measuring"):
        told = [measure_outage(running, seconds=options.outage)] if options.outage else []
        table, notes = _measure(running, options)
    table.title = f"{machine()}, load {before:.1f} before, {os.getloadavg()[0]:.1f} at the end"
    console.print(table)
    for line in [*notes, *told]:
        console.print(line)
    console.print(f"aims: {TARGET_RATE:.0f} a second, p99 under {TARGET_P99 * 1e3:.0f} ms")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inbound")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each server")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rate", type=float, default=TARGET_RATE, help="of `paced`")
    parser.add_argument("--start-rate", type=float, default=10.0, help="of `starts`")
    parser.add_argument("--duplicates", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true", help="print what time goes to, only")
    parser.add_argument("--outage", type=float, default=0.0, help="seconds without Temporal")
    return parser.parse_args()


def _measure(running: Stage, options: argparse.Namespace) -> tuple[Table, list[str]]:
    table = Table(title_justify="left")
    for column in ("", "requests", "a second", "p50 ms", "p99 ms", "ms of CPU each"):
        table.add_column(column, justify="right")
    others: dict[str, list[Figures]] = {"ours": [], "bare": []}
    for turn in range(-1, options.rounds):
        # ABBA: drift affects both alike. The first round fills pools and caches.
        for kind in others if turn % 2 else reversed(others):
            found = _run(
                running, kind, options, types=("peer.join.success",), names=f"{kind}{turn}"
            )
            others[kind] += [found] if turn >= 0 else []
    for kind, rounds in others.items():
        _add(table, f"others, {kind}", sorted(rounds, key=lambda each: each.rate)[len(rounds) // 2])
    paced = _run(
        running, "ours", options, types=("peer.join.success",), names="p", rate=options.rate
    )
    _add(table, f"paced, {options.rate:.0f}/s", paced)
    # A connection that is idle for five seconds is closed: so few that each sends every second.
    few = max(1, min(options.connections, int(options.start_rate)))
    paced_starts = {"rate": options.start_rate, "connections": few}
    slow = _run(running, "ours", options, types=_START, names="s", **paced_starts)
    _add(table, f"starts, {options.start_rate:.0f}/s", slow)
    told = asyncio.run(_until_told(running, "hls.started.success/s-"))
    flood = _run(running, "ours", options, types=_START, names="flood")
    _add(table, "starts, a flood", flood)
    begun = time.perf_counter()
    asyncio.run(deliver_rest(running))
    rest = time.perf_counter() - begun
    before = asyncio.run(_workflows(running))
    same = {"same": True, "count": options.duplicates, "duration": 3600.0}
    _add(table, "duplicates", _run(running, "ours", options, types=_START, names="d", **same))
    asyncio.run(deliver_rest(running))
    made = asyncio.run(_workflows(running)) - before
    ratios = sorted(
        ours.rate / bare.rate for ours, bare in zip(others["ours"], others["bare"], strict=True)
    )
    wait_50, wait_99 = percentile(told, 0.5) * 1e3, percentile(told, 0.99) * 1e3
    signal_rate = flood.requests / (flood.requests / flood.rate + rest)
    return table, [
        f"ours against bare: {ratios[len(ratios) // 2]:.2f} of its rate, in the median round",
        f"starts, {options.start_rate:.0f}/s, to signal: p50 {wait_50:.0f}, p99 {wait_99:.0f} ms",
        f"flood of starts: the last signal {rest:.0f} s after its end, {signal_rate:.0f} a second",
        f"workflows made by {options.duplicates} duplicates: {made} (must be 1)",
    ]


def _run(
    running: Stage,
    kind: str,
    options: argparse.Namespace,
    *,
    types: tuple[str, ...],
    names: str,
    **wanted: object,
) -> Figures:
    server = running.servers[kind]
    cpu = server.cpu_seconds()
    given = {"connections": options.connections, "duration": options.seconds, **wanted}
    outcome = send(running.load(kind, types=types, names=names, **given))
    return _figures(outcome, server.cpu_seconds() - cpu)


def _figures(outcome: Outcome, cpu: float) -> Figures:
    ranked = sorted(outcome.seconds)
    return Figures(
        requests=len(ranked),
        rate=len(ranked) / outcome.elapsed,
        p50=percentile(ranked, 0.5),
        p99=percentile(ranked, 0.99),
        cpu=cpu / len(ranked),
        sender_share=outcome.sender_share,
    )


def _add(table: Table, name: str, each: Figures) -> None:
    numbers = (each.p50 * 1e3, each.p99 * 1e3, each.cpu * 1e3)
    values = (f"{each.rate:.0f}", *(f"{number:.2f}" for number in numbers))
    table.add_row(name, str(each.requests), *values)


async def _until_told(running: Stage, prefix: str) -> list[float]:
    """Return how long each event waited until its workflow was signaled, in order."""
    await deliver_rest(running)
    async with reading(running) as connection:
        rows = await connection.fetch(_UNTIL_TOLD, prefix)
    return sorted(row["seconds"] for row in rows)


async def _workflows(running: Stage) -> int:
    """Count the tenant's streams in Temporal, once Temporal's list of them stands still."""
    client: Client = await connect(Settings(temporal_address=running.temporal.address))
    counts: list[int] = []
    while len(counts) < _STEADY or len(set(counts[-_STEADY:])) > 1:
        found = await client.count_workflows(
            f'TenantId = "{running.tenant_id}" AND WorkflowType = "StreamWorkflow"'
        )
        counts.append(found.count)
        await asyncio.sleep(0.2)
    return counts[-1]


def _print_profile(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "profile"
        with stage(profile=file) as running:
            outcome = _run(running, "ours", options, types=("peer.join.success",), names="profiled")
        print(f"{outcome.requests} events, {outcome.cpu * 1e3:.2f} ms of CPU each when watched")
        pstats.Stats(str(file)).sort_stats("tottime").print_stats(_SHOWN)


if __name__ == "__main__":
    main()
