"""What a live stream costs: Temporal's events, actions and dollars, and CPU of the whole stack.

`python -m benchmarks.temporal_cost [--calm 4] [--matches 1] [--seconds 240] [--report out.json]`
plays calm 360p streams and scripted matches at real pace to a `highlights dev` that it starts. It
counts between two points of time at which all streams are live, so that starts and ends do not
count. An hour of a calm stream with 20 clips is an hour of the calm streams, and 20 times what a
match costs more than a calm stream, for each clip.

Actions are counted from the histories by Temporal's rules
(https://docs.temporal.io/cloud/actions): starts of workflows (a child counts twice), activities and
their retries, timers, signals, search attribute upserts, continue-as-new; and heartbeats, which no
history has, from the server's own request counter.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import psutil
from pydantic import BaseModel, ConfigDict
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from benchmarks.latency import Figures, _clips, figures_of
from benchmarks.quality.report import machine
from demo.match import Match, ensure_match
from demo.origin import LiveOrigin, OriginOptions
from demo.stack import Ready, Stack
from infra.media.ffmpeg import find_ffmpeg
from infra.settings import Settings
from infra.temporal.client import connect
from tldrtv_highlights import AsyncHighlightsClient

DOLLARS_PER_ACTION: Final = 50 / 1_000_000
"""List price of Temporal Cloud (https://docs.temporal.io/cloud/pricing), first five million."""

CLIPS_PER_HOUR: Final = 20
_IDLE: Final = 30.0  # in which the heartbeats of schedules are counted
_WARM_UP: Final = 45.0
_LEFT_AT_END: Final = 25.0
_FOLLOWED: Final = re.compile(r"(stream|clip)/")
_HEARTBEAT: Final = "RecordActivityTaskHeartbeat"
_ACTIONS: Final = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: 1,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: 1,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: 1,
    EventType.EVENT_TYPE_TIMER_STARTED: 1,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: 1,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: 1,
}


class Counts(BaseModel):
    """What was counted of some streams, with their clips; CPU is not separated by stream."""

    model_config = ConfigDict(frozen=True)

    streams: int
    seconds: float
    clips: int
    events: int
    clip_events: int
    actions: int
    bytes: int
    kinds: dict[str, int]


class Report(BaseModel):
    """Everything measured; `hour` is the calm stream-hour with its clips."""

    model_config = ConfigDict(frozen=True)

    machine: str
    load_average: tuple[float, float]
    calm: Counts
    matches: Counts
    heartbeats: int  # of streams and clips, without those of schedules
    server_actions: dict[str, int]
    cpu_percent: dict[str, float]
    latency: dict[str, Figures]
    missed_segments: int
    hour: dict[str, float]


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.temporal_cost")
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser.add_argument("--calm", type=int, default=4, help="number of calm streams")
    parser.add_argument("--matches", type=int, default=1, help="number of scripted matches")
    parser.add_argument("--seconds", type=float, default=240.0, help="length of each stream")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    parser.add_argument("--report", type=Path, help="write the results here, as JSON")
    options = parser.parse_args()
    video = calm_video(options.home, options.seconds)
    matches = [
        ensure_match(options.home, seed=21 + number, duration=options.seconds)
        for number in range(options.matches)
    ]
    report = asyncio.run(_measure(video, options.calm, matches, options.home, options.seconds))
    print(report.model_dump_json(indent=2))
    if options.report is not None:
        options.report.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def calm_video(home: Path, seconds: float) -> Path:
    """Return a 360p video with a moving picture and even noise, in which nothing happens."""
    path = home / "benchmarks" / f"calm-{seconds:g}.mp4"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.mp4")
        arguments = [
            *("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"),
            *("-f", "lavfi", "-i", "anoisesrc=amplitude=0.02:sample_rate=48000"),
            *("-t", f"{seconds:g}", "-c:v", "libx264", "-preset", "ultrafast", "-g", "60"),
            *("-b:v", "600k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k"),
        ]
        subprocess.run(
            [str(find_ffmpeg(None)), "-v", "error", "-y", *arguments, str(unfinished)], check=True
        )
        unfinished.rename(path)
    return path


async def _measure(
    video: Path, calm: int, matches: Sequence[Match], home: Path, seconds: float
) -> Report:
    before = os.getloadavg()[0]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cost-", dir=home)))
        started = Stack(state_dir=folder / "stack", home=home, log=folder / "log")
        await stack.enter_async_context(started)
        ready = await started.ready()
        probe = _Probe(ready)
        api = await stack.enter_async_context(AsyncHighlightsClient(ready.api_url, ready.api_key))
        idle = await probe.snapshot()
        await asyncio.sleep(_IDLE)
        begun = await probe.snapshot()
        streams: dict[str, Match | None] = {}
        origins: dict[str, LiveOrigin] = {}
        for each in (*([None] * calm), *matches):
            source = video if each is None else each.video
            options = OriginOptions(autostart=False)
            origin = await stack.enter_async_context(LiveOrigin(source, options))
            stream = await api.streams.analyze(origin.master_url, game="soccer", title="cost")
            streams[stream.id], origins[stream.id] = each, origin
        for origin in origins.values():
            await origin.wait_requested()
            origin.begin()
        await asyncio.sleep(_WARM_UP)
        first = await probe.snapshot()
        await asyncio.sleep(seconds - _WARM_UP - _LEFT_AT_END)
        last = await probe.snapshot()
        counted = await probe.counts(first, last, {name for name, m in streams.items() if m})
        missed, clips = 0, []
        for name, match in streams.items():
            while not (over := await api.streams.get(name)).is_over:  # noqa: ASYNC110
                await asyncio.sleep(1.0)
            missed += over.missed
            if match is not None:
                clips += await _clips(api, name, match.seed, origins[name], {})
        quiet, eventful = counted
        span = (last.at - first.at).total_seconds()
        alone = (begun.requests[_HEARTBEAT] - idle.requests[_HEARTBEAT]) / _IDLE
        beats = last.requests[_HEARTBEAT] - first.requests[_HEARTBEAT] - round(alone * span)
        return Report(
            machine=machine(),
            load_average=(round(before, 2), round(os.getloadavg()[0], 2)),
            calm=quiet,
            matches=eventful,
            heartbeats=beats,
            server_actions=dict(last.actions - first.actions),
            cpu_percent={
                name: round(100 * (last.cpu[name] - first.cpu[name]) / span / len(streams), 2)
                for name in last.cpu
            },
            latency={
                stage: figures_of([getattr(each, stage) for each in clips])
                for stage in ("tail", "known", "begun", "ready")
            },
            missed_segments=missed,
            hour=_hour(quiet, eventful, beats / len(streams) / span * 3600),
        )


class _Snapshot(BaseModel):
    at: datetime
    cpu: dict[str, float]
    requests: Counter[str]
    actions: Counter[str]


class _Probe:
    """Reads the stack's processes, its Temporal server's counters and histories."""

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        self._temporal = psutil.Process(ready.pids["temporal"])
        command = self._temporal.cmdline()
        self._address = f"127.0.0.1:{command[command.index('--port') + 1]}"
        self._metrics = ""

    async def snapshot(self) -> _Snapshot:
        """Return what was used up to now; CPU in seconds by part of the stack."""
        text = await self._read_metrics()
        return _Snapshot(
            at=datetime.now(UTC),
            cpu={name: _cpu(psutil.Process(pid)) for name, pid in self._ready.pids.items()},
            requests=_sums(text, "service_requests", "operation", of='service_name="frontend"'),
            actions=_sums(text, "action", "action_type"),
        )

    async def counts(
        self, first: _Snapshot, last: _Snapshot, eventful: set[str]
    ) -> tuple[Counts, Counts]:
        """Return the counts of the calm streams and of the others between two snapshots."""
        client = await connect(Settings(temporal_address=self._address))
        events: dict[str, list[tuple[str, HistoryEvent]]] = {}
        async for each in client.list_workflows():
            if not _FOLLOWED.match(each.id):
                continue
            handle = client.get_workflow_handle(each.id, run_id=each.run_id)
            history = [event async for event in handle.fetch_history_events()]
            parent = history[
                0
            ].workflow_execution_started_event_attributes.parent_workflow_execution
            stream = (parent.workflow_id or each.id).rpartition("/")[2]
            kind = each.id.partition("/")[0]
            events.setdefault(stream, []).extend(
                (kind, event)
                for event in history
                if first.at <= event.event_time.ToDatetime(UTC) < last.at
            )
        seconds = (last.at - first.at).total_seconds()
        quiet = [found for stream, found in events.items() if stream not in eventful]
        others = [found for stream, found in events.items() if stream in eventful]
        return _count(quiet, seconds), _count(others, seconds)

    async def _read_metrics(self) -> str:
        async with httpx.AsyncClient(timeout=5.0) as http:
            if self._metrics:
                return (await http.get(self._metrics)).text
            for each in self._temporal.net_connections("tcp"):
                url = f"http://127.0.0.1:{each.laddr.port}/metrics"
                try:
                    text = (await http.get(url)).text
                except httpx.HTTPError:
                    continue
                if "service_requests" in text:
                    self._metrics = url
                    return text
        raise SystemExit("The Temporal server shows no metrics.")


def _cpu(process: psutil.Process) -> float:
    """Return CPU seconds of a process and all its children, those that have ended included."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _sums(text: str, name: str, label: str, *, of: str = "") -> Counter[str]:
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and of in line:
            value = re.search(rf'{label}="([^"]*)"', line)
            if value is not None:
                found[value[1]] += int(float(line.rpartition(" ")[2]))
    return found


def _count(streams: Sequence[Sequence[tuple[str, HistoryEvent]]], seconds: float) -> Counts:
    own = [event for stream in streams for kind, event in stream if kind == "stream"]
    clips = [event for stream in streams for kind, event in stream if kind == "clip"]
    events = [*own, *clips]
    kinds: Counter[str] = Counter()
    actions = 0
    for event in events:
        actions += _ACTIONS.get(EventType.ValueType(event.event_type), 0)
        actions += max(0, event.activity_task_started_event_attributes.attempt - 1)
        scheduled = event.activity_task_scheduled_event_attributes.activity_type.name
        kinds[scheduled or EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")] += 1
    started = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    return Counts(
        streams=len(streams),
        seconds=round(seconds, 1),
        clips=sum(event.event_type == started for event in clips),
        events=len(own),
        clip_events=len(clips),
        actions=actions,
        bytes=sum(event.ByteSize() for event in events),
        kinds=dict(kinds.most_common()),
    )


def _hour(calm: Counts, matches: Counts, heartbeats: float) -> dict[str, float]:
    """Return the figures of an hour of a calm stream with `CLIPS_PER_HOUR` clips."""

    def scaled(name: str) -> float:
        quiet: float = getattr(calm, name) / max(calm.streams, 1) / calm.seconds
        eventful: float = getattr(matches, name) - quiet * matches.seconds * matches.streams
        return quiet * 3600 + CLIPS_PER_HOUR * eventful / max(matches.clips, 1)

    actions = scaled("actions") + heartbeats
    return {
        "events": round(scaled("events")),
        "events_of_clip_workflows": round(scaled("clip_events")),
        "actions": round(actions),
        "of_them_heartbeats": round(heartbeats),
        "history_bytes": round(scaled("bytes")),
        "dollars": round(actions * DOLLARS_PER_ACTION, 4),
    }


if __name__ == "__main__":
    main()
