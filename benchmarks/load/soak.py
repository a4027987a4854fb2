"""One stream for a day of media, at many times its pace: `python -m benchmarks.load.soak`.

`highlights dev` follows 40 tiny segments, which are played again and again. At each quarter the
memory of each process, the bytes on disk and the workflow's runs are printed. It fails if a segment
is missed, if the memory of API or worker grows from the second quarter to the last, or if the disk
keeps more than the workflow releases. `--hours 24 --pace 30` takes 48 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from temporalio.client import Client

from app.dev.supervisor import free_ports
from benchmarks.load.origin import package, start_origin
from benchmarks.load.probe import MEDIA_CHILDREN, StackProbe
from benchmarks.quality.report import machine
from demo.stack import Ready, Stack
from domain.streams.messages import StreamTiming
from infra.settings import Settings
from infra.temporal.client import connect
from tests.factories.media import make_video

_ROOT: Final = Path(__file__).parents[2]
_SEGMENTS: Final = 40
_SEGMENT_SECONDS: Final = 2
_QUARTERS: Final = 4
_LISTED_SECONDS: Final = 30.0
"""Seconds for which a segment is listed: a busy machine must not miss one for our haste."""

_OURS: Final = ("api", "worker", MEDIA_CHILDREN)
"""Processes whose memory must stay: Temporal and PostgreSQL fill caches with limits of theirs."""

_MOST_GROWTH: Final = 1.2
_MOST_EVENTS: Final = 10_000
_HOUR: Final = 3600.0


@dataclass(frozen=True)
class Quarter:
    """The state at the end of a quarter.

    Attributes:
        media: seconds of media ingested.
        behind: seconds of media between what was published and what was ingested.
        memory: MiB (PSS) by kind of process.
        disk: seconds of this stream's media in the segment store.
        runs: of the workflow; `events` of the history of the longest of them.
    """

    media: float
    behind: float
    missed: int
    memory: Mapping[str, float]
    disk: float
    runs: int
    events: int

    def __str__(self) -> str:
        """Return it in a line."""
        memory = ", ".join(f"{kind} {size:.0f}" for kind, size in sorted(self.memory.items()))
        return (
            f"{self.media / _HOUR:5.2f} h ingested, {self.behind:.0f} s behind, "
            f"{self.missed} missed, {self.disk:.0f} s of media stored, {self.runs} runs of at most "
            f"{self.events} events; MiB: {memory}"
        )


def problems(quarters: Sequence[Quarter], *, pace: float) -> list[str]:
    """Return what is wrong after a soak."""
    settled, last = quarters[1], quarters[-1]
    found = [
        f"{kind} grew from {settled.memory[kind]:.0f} to {size:.0f} MiB"
        for kind, size in last.memory.items()
        if kind in _OURS and size > _MOST_GROWTH * settled.memory.get(kind, size)
    ]
    if last.missed:
        found.append(f"{last.missed} segments were missed")
    timing = StreamTiming()
    # Media is released when `follow_stream` returns, which does not run at the pace of the media.
    bound = timing.media_horizon + timing.release_interval + pace * timing.follow_duration
    bound += last.behind
    if max(each.disk for each in quarters) > bound:
        found.append(f"more than {bound:.0f} s of media were stored")
    if last.events > _MOST_EVENTS:
        found.append(f"a history has {last.events} events")
    return found


def main() -> None:
    """Run, print the quarters, and exit with 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.soak", description=__doc__)
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser.add_argument("--hours", type=float, default=24.0, help="of media")
    parser.add_argument("--pace", type=float, default=30.0, help="media seconds in a second")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    options = parser.parse_args()
    found = problems(asyncio.run(_soak(options)), pace=options.pace)
    if found:
        sys.exit("failed: " + "; ".join(found))


async def _soak(options: argparse.Namespace) -> list[Quarter]:
    load = os.getloadavg()[0]
    _print(f"{machine()}, load {load:.1f}, {options.hours:g} h at pace {options.pace:g}")
    video = await asyncio.to_thread(_video, options.home)
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-", dir=options.home))
        )
        origin_port, metrics_port = free_ports(2)
        listed = round(_LISTED_SECONDS * options.pace / _SEGMENT_SECONDS)
        origin = await start_origin(
            video.parent,
            port=origin_port,
            log=folder / "origin.log",
            pace=options.pace,
            listed=listed,
        )
        stack.callback(origin.stop)
        stack.enter_context(_metrics_at(f"127.0.0.1:{metrics_port}"))
        started = Stack(state_dir=folder / "stack", home=options.home, log=folder / "log")
        await stack.enter_async_context(started)
        ready = await started.ready()
        probe = StackProbe(ready, metrics=f"127.0.0.1:{metrics_port}")
        client = await connect(Settings(temporal_address=probe.temporal_address))
        http = await stack.enter_async_context(_http(ready))
        begin = time.time()
        url = f"http://127.0.0.1:{origin_port}/{video.name}/{int(begin * 1000)}/soak/master.m3u8"
        answer = await http.post("/v1/streams/analyze", json={"url": url, "game": "soccer"})
        stream_id = answer.raise_for_status().json()["id"]
        quarters: list[Quarter] = []
        for number in range(1, _QUARTERS + 1):
            end = begin + number / _QUARTERS * options.hours * _HOUR / options.pace
            await asyncio.sleep(max(0.0, end - time.time()))
            started.check()
            soaked = _Soaked(http, client, probe, stream_id, folder / "stack")
            quarters.append(await soaked.quarter(options.pace * (time.time() - begin)))
            _print(str(quarters[-1]))
        return quarters


@dataclass(frozen=True)
class _Soaked:
    http: httpx.AsyncClient
    client: Client
    probe: StackProbe
    stream_id: str
    state: Path

    async def quarter(self, published: float) -> Quarter:
        """Return the state now; `published` is the end of what was published, in media seconds."""
        answer = await self.http.get(f"/v1/streams/{self.stream_id}")
        row: dict[str, Any] = answer.raise_for_status().json()
        # The list knows the length of a closed run only.
        runs = [
            (await self.client.get_workflow_handle(each.id, run_id=each.run_id).describe())
            async for each in self.client.list_workflows("WorkflowType = 'StreamWorkflow'")
        ]
        files = await asyncio.to_thread(
            lambda: [each for each in self.state.rglob("*.ts") if self.stream_id in each.parts]
        )
        return Quarter(
            media=float(row["position"]),
            behind=max(0.0, published - float(row["position"])),
            missed=int(row["missed"]),
            memory=(await self.probe.snapshot()).memory,
            disk=float(_SEGMENT_SECONDS * len(files)),
            runs=len(runs),
            events=max((each.history_length for each in runs), default=0),
        )


def _video(home: Path) -> Path:
    """Return the folder of the packaged segments, which are made if need be."""
    folder = home / "benchmarks" / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "source.mp4"
    if not source.exists():
        making = source.with_name("part.mp4")
        make_video(making, seconds=_SEGMENTS * _SEGMENT_SECONDS, size="64x36", rate="10")
        making.rename(source)
    return package(source, folder / "loop", height=36)


def _http(ready: Ready) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {ready.api_key}"}
    return httpx.AsyncClient(base_url=ready.api_url, headers=headers, timeout=60.0)


@contextmanager
def _metrics_at(address: str) -> Iterator[None]:
    os.environ["HIGHLIGHTS_METRICS_ADDRESS"] = address
    try:
        yield
    finally:
        del os.environ["HIGHLIGHTS_METRICS_ADDRESS"]


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
