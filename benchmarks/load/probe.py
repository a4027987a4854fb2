"""What the stack has used: processes, PostgreSQL's counters, Temporal's histories, the store."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import psutil
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from demo.stack import Ready
from infra.settings import Settings
from infra.temporal.client import connect

MEDIA_CHILDREN: Final = "media children"

_COUNTERS: Final = """
    SELECT xact_commit AS transactions, tup_inserted AS "rows inserted",
      tup_updated AS "rows updated", tup_deleted AS "rows deleted",
      pg_current_wal_lsn() - '0/0'::pg_lsn AS "bytes of WAL"
    FROM pg_stat_database
    WHERE datname = current_database()
    """
_COUNTED: Final = re.compile(r"(stream|clip|deliver|session|export|export-batch)/")
_OURS: Final = re.compile(r"\((activities|api|app/services|domain|infra|workflows)/")
_PATIENCE: Final = timedelta(seconds=60)
_HEARTBEAT: Final = "RecordActivityTaskHeartbeat"
_ACTIONS: Final = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: 1,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: 1,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: 1,
    EventType.EVENT_TYPE_TIMER_STARTED: 1,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: 1,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: 1,
}
"""Actions of an event (https://docs.temporal.io/cloud/actions); the start of a child counts twice,
retries and heartbeats are added."""


@dataclass(frozen=True)
class Snapshot:
    """What was used up to a time; CPU in seconds, memory in MiB (PSS), by kind of process.

    `media` are the seconds of all streams that were stored.
    """

    at: datetime
    cpu: Mapping[str, float]
    memory: Mapping[str, float]
    machine: float
    database: Mapping[str, float]
    heartbeats: int
    store: Counter[str]
    media: float


@dataclass(frozen=True)
class HistoryCounts:
    """Events, billed actions (without heartbeats) and bytes of histories, and workflows begun."""

    events: Counter[str]
    actions: int
    bytes: int
    clips: int


class StackProbe:
    """Reads the stack's processes, its servers' counters, and histories.

    Args:
        ready: the running stack.
        metrics: address of the worker's metrics, host:port.
    """

    def __init__(self, ready: Ready, *, metrics: str) -> None:
        self._ready = ready
        self._metrics = f"http://{metrics}/metrics"
        self._worker = psutil.Process(ready.pids["worker"])
        self._temporal = psutil.Process(ready.pids["temporal"])
        command = self._temporal.cmdline()
        self.temporal_address = f"127.0.0.1:{command[command.index('--port') + 1]}"
        self._temporal_metrics = ""

    @property
    def worker_environment(self) -> Mapping[str, str]:
        """The worker's environment, which says where its servers are."""
        return self._worker.environ()

    def pid_of(self, kind: str) -> int:
        """Return a process of a kind."""
        if kind != MEDIA_CHILDREN:
            return self._ready.pids[kind]
        children = self._worker.children(recursive=True)
        return max(children, key=lambda each: sum(each.cpu_times()[:2])).pid

    async def snapshot(self) -> Snapshot:
        """Return what was used up to now."""
        cpu, memory = self._processes()
        times = psutil.cpu_times()
        async with httpx.AsyncClient(timeout=10.0) as http:
            store = (await http.get(self._metrics)).text
            temporal = await self._read_temporal(http)
        return Snapshot(
            at=datetime.now(UTC),
            cpu=cpu,
            memory=memory,
            machine=sum(times) - times.idle - times.iowait - times.guest - times.guest_nice,
            database=await self._counters(),
            heartbeats=_sums(
                temporal, "service_requests", "operation", of='service_name="frontend"'
            )[_HEARTBEAT],
            store=_sums(store, "highlights_store_request_seconds_count", "operation"),
            media=_value(store, "highlights_media_seconds_total"),
        )

    @contextmanager
    def suspended_worker(self) -> Iterator[None]:
        """Suspend the worker while the context lasts."""
        self._worker.suspend()
        try:
            yield
        finally:
            self._worker.resume()

    async def histories(self, first: Snapshot, last: Snapshot) -> HistoryCounts:
        """Return the counts of all workflows of streams between two snapshots."""
        client = await connect(Settings(temporal_address=self.temporal_address))
        events: Counter[str] = Counter()
        actions = size = clips = 0
        async for each in client.list_workflows(rpc_timeout=_PATIENCE):
            kind = _COUNTED.match(each.id)
            if kind is None or (each.close_time is not None and each.close_time < first.at):
                continue
            handle = client.get_workflow_handle(each.id, run_id=each.run_id)
            async for event in handle.fetch_history_events(rpc_timeout=_PATIENCE):
                if not first.at <= event.event_time.ToDatetime(UTC) < last.at:
                    continue
                events[kind[1]] += 1
                actions += actions_of(event)
                size += event.ByteSize()
                begins = event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
                clips += kind[1] == "clip" and begins
        return HistoryCounts(events, actions, size, clips)

    def _processes(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return CPU seconds, ended children included, and memory."""
        cpu: dict[str, float] = defaultdict(float)
        memory: dict[str, float] = defaultdict(float)
        for name, pid in self._ready.pids.items():
            process = psutil.Process(pid)
            children = MEDIA_CHILDREN if name == "worker" else name
            with process.oneshot():
                times = process.cpu_times()
                cpu[name] += times.user + times.system
                cpu[children] += times.children_user + times.children_system
                memory[name] += process.memory_full_info().pss / 2**20
            for each in process.children(recursive=True):
                try:
                    times = each.cpu_times()
                    pss = each.memory_full_info().pss
                except psutil.NoSuchProcess:
                    continue  # its parent has its time
                cpu[children] += sum((times.user, times.system))
                cpu[children] += times.children_user + times.children_system
                memory[children] += pss / 2**20
        return dict(cpu), dict(memory)

    async def _counters(self) -> dict[str, float]:
        url = self.worker_environment["DATABASE_URL"]
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            row = await connection.fetchrow(_COUNTERS)
        finally:
            await connection.close()
        return {name: float(value) for name, value in row.items()}

    async def _read_temporal(self, http: httpx.AsyncClient) -> str:
        if self._temporal_metrics:
            return (await http.get(self._temporal_metrics)).text
        for each in self._temporal.net_connections("tcp"):
            url = f"http://127.0.0.1:{each.laddr.port}/metrics"
            try:
                text = (await http.get(url)).text
            except httpx.HTTPError:
                continue
            if "service_requests" in text:
                self._temporal_metrics = url
                return text
        raise SystemExit("The Temporal server shows no metrics.")


def actions_of(event: HistoryEvent) -> int:
    """Return the billed actions of an event: its own and those of an activity's retries."""
    own = _ACTIONS.get(EventType.ValueType(event.event_type), 0)
    return own + max(0, event.activity_task_started_event_attributes.attempt - 1)


def _sums(text: str, name: str, label: str, *, of: str = "") -> Counter[str]:
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and of in line:
            value = re.search(rf'{label}="([^"]*)"', line)
            if value is not None:
                found[value[1]] += int(float(line.rpartition(" ")[2]))
    return found


def _value(text: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def busiest_functions(profile: Path, *, root: Path, most: int = 10) -> list[str]:
    """Return the busiest functions of a profile of `py-spy -f raw`, the largest share first.

    Those of our own code with what they call (without the command line), and the innermost ones.
    """
    ours: Counter[str] = Counter()
    innermost: Counter[str] = Counter()
    total = 0
    for line in profile.read_text("utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [each.replace(f"{root}/", "").rpartition(":")[0] for each in stack.split(";")]
        total += int(count)
        innermost[frames[-1]] += int(count)
        for frame in set(frames):
            if _OURS.search(frame):
                ours[frame] += int(count)
    return [
        f"- {100 * count / max(total, 1):.0f} % {kind} `{frame})`"
        for kind, shares in (("in and below", ours), ("in", innermost))
        for frame, count in shares.most_common(most)
    ]
