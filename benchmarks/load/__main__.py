"""N live streams of 100ms at real-time pace, with everything that happens around them.

`python -m benchmarks.load [--streams 10] [--seconds 180] [--report out.json]` starts `highlights
dev`, begins the streams by 100ms's webhooks, and measures between two points of time at which all
of them are live: ingest, analysis with text on the screen, selection, clips, deliveries to a
receiver, events of a feed, SSE and API readers. All streams play the segments of a few scripted
matches, made once, from one origin. Before that, one plain
`ffmpeg -c copy` for each stream stores the same.

`--neighbor` first measures the only stream of another tenant alone, and then beside the load, to
which `--exports` adds an export of so many clips. `--s3` keeps segments and clips on an S3 server
(versitygw; `bin/locked-tools s3_server` gets it), whose requests are counted. `--py-spy PROGRAM`
profiles the busiest process. Origin, receiver and readers do not count as the stack's CPU, but
they take some of the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.dev.supervisor import free_ports
from benchmarks.load.baseline import measure_plain_ffmpeg
from benchmarks.load.dollars import dollars_of_hour
from benchmarks.load.origin import package, start_origin
from benchmarks.load.probe import MEDIA_CHILDREN, StackProbe, busiest_functions
from benchmarks.load.report import Latencies, Neighbor, Report, table
from benchmarks.load.span import Span
from benchmarks.load.tenant import Tenant
from benchmarks.quality.report import machine
from benchmarks.scale.figures import ScaleFigures
from demo.match import ensure_match
from demo.stack import Stack
from tests.fakes.s3_server import S3Server, find_s3_server

_ROOT: Final = Path(__file__).parents[2]
_IDLE: Final = 15.0
_START_TIMEOUT: Final = 120.0
_BASELINE: Final = 20.0
_PROFILED: Final = 20
_PYTHON: Final = frozenset({"worker", "api", MEDIA_CHILDREN})


def main() -> None:
    """Measure, print and write down."""
    options = _options()
    videos = _videos(options)
    report = asyncio.run(_measure(options, videos))
    print(table(report))
    if options.report is not None:
        options.report.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=180.0, help="that are measured")
    parser.add_argument("--warm-up", type=float, default=40.0, help="seconds before that")
    parser.add_argument("--drain", type=float, default=40.0, help="seconds for the last clips")
    parser.add_argument("--stagger", type=float, default=1.0, help="seconds between two starts")
    parser.add_argument("--matches", type=int, default=3, help="that the streams play in turn")
    parser.add_argument("--seed", type=int, default=41, help="of the first match")
    parser.add_argument("--duration", type=float, default=360.0, help="seconds of each match")
    parser.add_argument("--spacing", type=float, default=180.0, help="seconds between its moments")
    parser.add_argument("--height", type=int, default=360, help="lines of the picture")
    parser.add_argument("--neighbor", action="store_true", help="measure another tenant's stream")
    parser.add_argument("--exports", type=int, default=0, help="begun when measuring begins")
    parser.add_argument("--s3", action="store_true", help="store on a local S3 server")
    parser.add_argument("--py-spy", type=Path, help="program to profile the busiest process with")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    parser.add_argument("--report", type=Path, help="write the results here, as JSON")
    return parser.parse_args()


def _videos(options: argparse.Namespace) -> list[Path]:
    """Return the folders of the packaged matches, which are made if need be."""
    folder: Path = options.home / "benchmarks" / "load"
    packaged = []
    for seed in range(options.seed, options.seed + options.matches):
        match = ensure_match(
            options.home, seed=seed, duration=options.duration, spacing=options.spacing
        )
        name = f"{seed}-{options.duration:g}-{options.spacing:g}-{options.height}"
        packaged.append(package(match.video, folder / name, height=options.height))
    return packaged


async def _measure(options: argparse.Namespace, videos: Sequence[Path]) -> Report:
    before = os.getloadavg()[0]
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="load-", dir=options.home))
        )
        origin_port, metrics_port = free_ports(2)
        served = await start_origin(videos[0].parent, port=origin_port, log=folder / "origin.log")
        stack.callback(served.stop)
        origin, names = f"http://127.0.0.1:{origin_port}", [each.name for each in videos]
        plain = await measure_plain_ffmpeg(
            _plain_urls(origin, names, options.streams), folder / "plain", seconds=_BASELINE
        )
        environment = {
            "HIGHLIGHTS_METRICS_ADDRESS": f"127.0.0.1:{metrics_port}",
            "HIGHLIGHTS_DEFAULT_PLAN": "enterprise",
        }
        if options.s3:
            environment |= _start_s3(stack, options.home, folder)
        stack.enter_context(_set_environment(environment))
        started = Stack(state_dir=folder / "stack", home=options.home, log=folder / "log")
        await stack.enter_async_context(started)
        ready = await started.ready()
        probe = StackProbe(ready, metrics=f"127.0.0.1:{metrics_port}")
        idle_from = await probe.snapshot()
        await asyncio.sleep(_IDLE)
        idle = await probe.snapshot()

        def tenant_of(key: str) -> Tenant:
            return Tenant(ready.api_url, key, origin=origin, videos=names)

        tenant = await stack.enter_async_context(tenant_of(ready.api_key))
        other: Tenant | None = None
        alone: Latencies | None = None
        if options.neighbor:
            key = await asyncio.to_thread(_new_key, probe)
            other = await stack.enter_async_context(tenant_of(key))
            alone = await _measure_alone(other, options)
        begun = await _begin(tenant, options.streams, options)
        first = await probe.snapshot()
        exporting = asyncio.create_task(tenant.export(options.exports))
        profiling = asyncio.create_task(_profile(options.py_spy, probe, folder / "profile"))
        await asyncio.sleep(options.seconds)
        last = await probe.snapshot()
        await exporting
        await asyncio.sleep(options.drain)  # in which the clips of the last moments are made
        rows = await tenant.details()
        span = Span(idle_from, idle, first, last, options.streams)
        with probe.suspended_worker():  # an overloaded server would not answer in time
            hourly = span.hourly(await probe.histories(first, last))
        cpu, memory = span.cpu(), dict(last.memory)
        return Report(
            machine=machine(),
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            load_average=(round(before, 2), round(os.getloadavg()[0], 2)),
            streams=options.streams,
            begun=begun,
            height=options.height,
            seconds=span.seconds,
            busy=span.busy,
            published=sum(row["segments"] + row["missed"] for row in rows),
            missed=sum(row["missed"] for row in rows),
            stored=span.stored(),
            stopped=sum(row["end"] is not None for row in rows),
            not_made=tenant.not_made(first.at, last.at),
            latencies=tenant.latencies(first.at, last.at),
            cpu=cpu,
            idle_cpu=span.idle_cpu(),
            memory=memory,
            memory_per_stream=span.added_memory(),
            hourly=hourly,
            dollars=dollars_of_hour(
                ScaleFigures.read(),
                cpu=cpu,
                memory={kind: each / options.streams for kind, each in memory.items()},
                hourly=hourly,
            ),
            plain_ffmpeg=plain,
            deliveries=tenant.deliveries,
            events_read=tenant.events_read,
            requests=tenant.requests,
            failed_requests=tenant.failed,
            neighbor=None
            if other is None or alone is None
            else Neighbor(alone=alone, beside=other.latencies(first.at, last.at)),
            profile=tuple(await profiling),
        )


async def _begin(tenant: Tenant, streams: int, options: argparse.Namespace) -> int:
    """Begin streams, one after the other, and wait until all are live and warm.

    An overloaded stack may not begin them in time. Return how many there are.
    """
    found = 0
    async with asyncio.TaskGroup() as group:
        for _ in range(streams):
            group.create_task(tenant.begin())
            await asyncio.sleep(options.stagger)
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_TIMEOUT):
            while (found := len(await tenant.streams())) < streams:  # noqa: ASYNC110
                await asyncio.sleep(1.0)
    await asyncio.sleep(options.warm_up)
    return found


async def _measure_alone(tenant: Tenant, options: argparse.Namespace) -> Latencies:
    await _begin(tenant, 1, options)
    began = datetime.now(UTC)
    await asyncio.sleep(options.seconds)
    ended = datetime.now(UTC)
    await asyncio.sleep(options.drain)
    return tenant.latencies(began, ended)


def _plain_urls(origin: str, videos: Sequence[str], streams: int) -> list[str]:
    """Return URLs of streams that began a little earlier, one after the other."""
    now = int(time.time() * 1000)
    return [
        f"{origin}/{videos[number % len(videos)]}/{now - 20_000 - 400 * number}/plain/index.m3u8"
        for number in range(streams)
    ]


def _start_s3(stack: AsyncExitStack, home: Path, folder: Path) -> dict[str, str]:
    """Start an S3 server; return the settings with which the stack stores on it."""
    (folder / "s3").mkdir()
    server = S3Server(find_s3_server(home), folder / "s3")
    server.start()
    stack.callback(server.stop)
    bucket = server.make_bucket()
    return {
        **server.environment(),
        "SEGMENT_STORE": f"s3://{bucket}/segments",
        "CLIP_STORE": f"s3://{bucket}/clips",
    }


@contextmanager
def _set_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the stack, for as long as the context lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ |= values
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _new_key(probe: StackProbe) -> str:
    """Return a key of another tenant."""
    command = [sys.executable, "-m", "app.cli", "keys", "create", "--tenant", "neighbor"]
    done = subprocess.run(
        command,
        cwd=_ROOT,
        env={**os.environ, **probe.worker_environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return next(word for word in done.stdout.split() if word.startswith("hl_"))


async def _profile(program: Path | None, probe: StackProbe, output: Path) -> list[str]:
    """Profile the kind of process that uses most, for 20 s; return its busiest functions."""
    if program is None:
        return []
    before = await probe.snapshot()
    await asyncio.sleep(_IDLE)
    after = await probe.snapshot()
    used = {kind: cpu - before.cpu[kind] for kind, cpu in after.cpu.items() if kind in _PYTHON}
    kind = max(used, key=lambda each: used[each])
    recording = await asyncio.create_subprocess_exec(
        *(str(program), "record", "--pid", str(probe.pid_of(kind)), "--format", "raw"),
        *("--duration", str(_PROFILED), "--nonblocking", "--output", str(output)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    if await recording.wait():
        return [f"- {program} could not profile the {kind}"]
    return [f"- {kind}:", *busiest_functions(output, root=_ROOT)]


if __name__ == "__main__":
    main()
